"""Exceptions for mistakes that a user of the model side can mend."""


class RunError(Exception):
    """Contradictory settings, unusable run directories or exports.

    The message is one sentence or two: what was expected, what was received and
    what to do. Programs print it without a traceback and exit with status 1.
    """


class DivergedError(RunError):
    """Training met too many losses or gradients in a row that weren't finite."""

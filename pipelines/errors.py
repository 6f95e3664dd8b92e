"""The one exception for mistakes a user of the data side can mend."""


class DataError(Exception):
    """Bad settings, missing or damaged files, mismatched artefacts.

    The message is one sentence or two: what was expected, what was received and
    what to do. Programs print it without a traceback and exit with status 1.
    """

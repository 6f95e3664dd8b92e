"""Errors of the model side that a program tells apart; all others are `UserError`."""

from pipelines import files


class DivergedError(files.UserError):
    """Training met too many losses or gradients in a row that weren't finite."""

"""What every room may lean on: the error for whatever a user can mend.

Nothing but Python's standard library is imported here, and nothing of the project.
"""


class UserError(Exception):
    """Bad settings, missing or damaged files, mismatched artefacts.

    The message is one sentence or two: what was expected, what was received and
    what to do. Programs print it without a traceback and exit with `exit_code`.
    """

    exit_code = 1

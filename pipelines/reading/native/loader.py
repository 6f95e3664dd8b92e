"""Loads the op's library, or says once why it can't be had."""

import functools
import logging
from types import ModuleType

import tensorflow as tf

from pipelines import files
from pipelines.reading.native import build


@functools.cache
def library() -> ModuleType | files.UserError:
    """Build the library if need be and load it; return the reason where it fails."""
    try:
        path = build.build()
        try:
            return tf.load_op_library(str(path))
        except (tf.errors.OpError, OSError) as error:
            raise files.UserError(
                f"Expected to load the input op {path}, it failed "
                f"({str(error).splitlines()[0]}). Remove the file to build it anew, or "
                "use --native=false."
            ) from error
    except files.UserError as error:
        return error


def loaded() -> ModuleType:
    """Return the library, or raise the `UserError` that says why it can't be had."""
    found = library()
    if isinstance(found, files.UserError):
        raise found
    return found


@functools.cache
def _say(reason: str) -> None:
    logging.getLogger(__name__).warning("reading without the input op: %s", reason)


def available(required: bool = False) -> bool:
    """Say whether the op can be used; where it can't, log the reason, once.

    Raises:
        UserError: It can't, and it is `required`.
    """
    found = library()
    if not isinstance(found, files.UserError):
        return True
    if required:
        raise found
    _say(str(found))
    return False

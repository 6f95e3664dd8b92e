"""Stands in for hardware that a machine may not have."""

import contextlib
from collections.abc import Iterator
from unittest import mock

from vae_prod.core import processor
from vae_prod.training import precision


@contextlib.contextmanager
def on_processor(*instruction_sets: str) -> Iterator[None]:
    """Take the processor for one with these instruction sets, without a GPU."""
    there = list(instruction_sets)
    with (
        mock.patch.object(processor, "instruction_sets", return_value=there),
        mock.patch.object(precision, "_accelerators", return_value=[]),
    ):
        yield

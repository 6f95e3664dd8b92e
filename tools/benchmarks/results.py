"""Results of benchmarks: summed up, in tables, in a file; the flags that set them."""

import json
import os
import statistics
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import attrs

from pipelines import files
from tools import flags


@attrs.frozen
class Spread:
    """The median of some repetitions and their extremes."""

    median: float
    lowest: float
    highest: float

    def text(self, form: str = ",.0f") -> str:
        """Return `median (lowest-highest)`, each number in the form given."""
        low, high = format(self.lowest, form), format(self.highest, form)
        return f"{self.median:{form}} ({low}-{high})"


def spread(values: Sequence[float]) -> Spread:
    """Sum up the same figure of some repetitions."""
    return Spread(statistics.median(values), min(values), max(values))


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return an aligned text table: the first column to the left, others right."""
    lines = [list(header), *map(list, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def check_flags(values, choices: Mapping[str, Collection]) -> None:
    """Refuse flags that can't be measured, before any work is lost.

    Args:
        values: The parsed flags.
        choices: Name of a flag that takes several values to those there are; it needs
            one of them at least.

    Raises:
        UsageError: The first of them that isn't so.
        UserError: --out can't be written.
    """
    for name, allowed in choices.items():
        value = values[name].value
        if not value or set(value) - set(allowed):
            raise flags.UsageError(
                f"--{name} must be out of {', '.join(map(str, allowed))}, received "
                f"{','.join(map(str, value)) or 'nothing'}."
            )
    if values.out:
        check_writable(values.out)


def check_writable(path: str) -> None:
    """Refuse a results file that can't be written, before any work is lost.

    Raises:
        UserError: Its folder is missing or not writable, or it is a folder itself.
    """
    folder = os.path.dirname(os.path.abspath(path))
    if os.path.isdir(path) or not os.access(folder, os.W_OK):
        raise files.UserError(
            f"Expected a file in a folder that can be written to, received --out="
            f"{path}; make its folder or choose another --out."
        )


def save(path: str, values: Mapping[str, Any]) -> None:
    """Write values as JSON (attrs objects included), whole or not at all."""
    files.write(path, json.dumps(values, indent=1, default=attrs.asdict) + "\n")


def save_out(values, machine: Mapping[str, Any], **measured) -> None:
    """Write what was measured, with the machine and all flags, where --out says."""
    if values.out:
        settings = {name: values[name].value for name in values}
        save(values.out, {"machine": machine, "settings": settings, **measured})

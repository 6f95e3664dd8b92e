"""Shards written one by one by processes that know nothing of each other.

What a shard holds follows from the plan alone, so whoever writes it, and however often,
writes the same bytes; each is noted in the journal, where the process that waits for
all of them finds it.
"""

from collections.abc import Callable, Iterator, Sequence

import attrs
import numpy as np

from pipelines import files
from pipelines.converting import conversion, journal, workers
from pipelines.converting import plan as plan_lib
from pipelines.converting import source as source_lib


def _read_nothing(split: str, positions: np.ndarray) -> Iterator[source_lib.Item]:
    return iter(())


# Stands in for a source that another process opens.
_CLOSED = source_lib.Source(name="", digest="", splits={}, read=_read_nothing)


@attrs.define
class ShardWriter:
    """Writes shards of a plan; picklable before `open`.

    Attributes:
        plan: What is written; its source is left out until `open`.
        open_source: Opens the source.
        out: The conversion's folder.
    """

    plan: plan_lib.Plan
    open_source: Callable[[], source_lib.Source]
    out: str

    def __attrs_post_init__(self) -> None:
        self.plan = attrs.evolve(self.plan, source=_CLOSED)

    def open(self) -> None:
        """Open the source, once a process."""
        self.plan = attrs.evolve(self.plan, source=self.open_source())

    def write(self, shard: tuple[str, int]) -> None:
        """Write one shard, (split, number).

        What the machine's failures raise is left to who calls it, to try again. What is
        wrong with the source is noted, for it would be wrong again.
        """
        plan = self.plan
        items = plan.source.read(shard[0], plan.positions(*shard))
        with workers.start(1) as run:
            stream = iter(run(plan.task, items, plan.task.chunk_size))
            try:
                conversion.write_shard(plan, shard, self.out, stream)
            except files.UserError as error:
                journal.Journal(self.out).refuse(*shard, str(error))


def write_all(
    writer: ShardWriter,
    plan: plan_lib.Plan,
    run: Callable[[ShardWriter, Sequence[tuple[str, int]]], None],
) -> Callable[[conversion.Entries], None]:
    """Return what writes missing shards, for `conversion.convert_by`.

    Args:
        writer: Writes one.
        plan: The plan with its source.
        run: Has each of some shards written once or more, and waits.
    """

    def write(entries: conversion.Entries) -> None:
        progress, lacking = journal.Journal(writer.out), conversion.missing(entries)
        progress.forget_refusals()
        if lacking:
            run(writer, lacking)
        for shard in lacking:
            entries[shard] = progress.load(*shard, plan.file(*shard))
        if refused := progress.refusals():
            raise files.UserError(refused[0])
        conversion.check_complete(plan, entries)

    return write

"""Whether splits are apart: images that are in two of them, and persons that are.

What a model is tested on shouldn't be what it was trained on. Copies are found by their
fingerprints, damaged, mirrored and slightly moved ones too, in linear time; memory is
some 1,000 bytes an image.
"""

from collections.abc import Callable, Sequence

import attrs
import numpy as np

from pipelines import config as config_lib
from pipelines import duplicates, fingerprints, shards
from pipelines.reading import dataset

_BATCH = 256


@attrs.frozen
class Findings:
    """What several splits have in common.

    Attributes:
        copies: Keys of two images in different splits that are copies, with the splits:
            (split, key, split, key).
        persons: How many persons are in more than one split; None where they aren't
            numbered.
    """

    copies: Sequence[tuple[str, str, str, str]]
    persons: int | None

    def lines(self) -> list[str]:
        """Return it in sentences, for people."""
        said = []
        if self.copies:
            split, key, other, other_key = self.copies[0]
            said.append(
                f"{len(self.copies):,} pairs of copies lie in different splits, first "
                f"{key} ({split}) and {other_key} ({other})"
            )
        if self.persons:
            said.append(
                f"{self.persons:,} persons are in more than one split; "
                "--split_by=identity keeps them apart"
            )
        return said


def check(
    data_dir: str,
    manifest: shards.Manifest,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Findings:
    """Look for what several splits have in common, reading each image once.

    Args:
        data_dir: Directory of the shards.
        manifest: What it holds.
        on_progress: Called with (images done, images in all).
    """
    sizes = {name: split.num_examples for name, split in manifest.splits.items()}
    config = config_lib.DataConfig(batch_size=_BATCH)
    has_persons = "identity" in manifest.record.fields()
    fields = ("key", "identity") if has_persons else ("key",)
    described, keys, persons, done = [], [], [], 0
    for name in sizes:
        of_split: set[int] = set()
        for batch in dataset.eval_batches(
            data_dir, manifest, name, config, fields=fields
        ):
            described.append(
                fingerprints.describe(batch["image"].numpy()).astype(np.float16)
            )
            keys += [(name, key.decode()) for key in batch["key"].numpy().tolist()]
            if has_persons:
                of_split.update(batch["identity"].numpy().tolist())
            done = len(keys)
            on_progress(done, sum(sizes.values()))
        persons.append(of_split)
    counts = np.unique([p for split in persons for p in split], return_counts=True)[1]
    return Findings(
        _copies(np.concatenate(described), keys),
        int((counts > 1).sum()) if has_persons else None,
    )


def _copies(
    described: np.ndarray, keys: Sequence[tuple[str, str]]
) -> list[tuple[str, str, str, str]]:
    # Images of one colour have no pattern by which they could be told apart.
    patterned = np.flatnonzero(np.linalg.norm(np.float32(described), axis=1) > 0.5)
    if not len(patterned):
        return []
    pairs = patterned[duplicates.find(described[patterned])]
    found = [(*keys[first], *keys[second]) for first, second in pairs.tolist()]
    return [pair for pair in found if pair[0] != pair[2]]

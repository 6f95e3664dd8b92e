"""What a conversion will write, known before it begins."""

import functools
from collections.abc import Callable, Iterator

import attrs
import numpy as np

from pipelines import config as config_lib
from pipelines import crops, files, records, shards
from pipelines.converting import images, workers
from pipelines.converting import source as source_lib

IMAGES_PER_SHARD = 1024

_SAMPLE_IMAGES = 64
_NEEDED = {"box": "bounding boxes", "landmarks": "landmarks"}


@attrs.frozen(eq=False)
class Plan:
    """What will be written.

    Attributes:
        source: Where images come from, empty splits left out.
        config: How they become shards.
        record: What every example holds.
        borders: Split name to where its shards begin and end among the split's
            images, int64 [num_shards + 1].
        first: (width, height) of the first picture.
    """

    source: source_lib.Source
    config: config_lib.ConvertConfig
    record: records.RecordSpec
    borders: dict[str, np.ndarray]
    first: tuple[int, int]

    @property
    def num_images(self) -> int:
        """Number of images over all splits."""
        return sum(len(positions) for positions in self.source.splits.values())

    def shards(self) -> Iterator[tuple[str, int]]:
        """Yield (split, number) of every shard, in the order of writing."""
        for split, borders in self.borders.items():
            for number in range(len(borders) - 1):
                yield split, number

    def positions(self, split: str, number: int) -> np.ndarray:
        """Return where a shard's images stand in the source, int64 [n]."""
        start, stop = self.borders[split][number : number + 2]
        return self.source.splits[split][start:stop]

    @property
    def task(self) -> workers.Task:
        """Return what turns items of the source into records."""
        features = records.feature_names(self.record)
        landmarks = self.source.landmarks
        return workers.Task(self.config, self.record.image_shape, features, landmarks)

    @functools.cached_property
    def estimated_bytes(self) -> int:
        """Size of all shards in bytes, judged from the first images."""
        split, positions = next(iter(self.source.splits.items()))
        sample = self.source.read(split, positions[:_SAMPLE_IMAGES])
        sizes = [
            len(one.record) + shards.RECORD_HEADER + shards.RECORD_FOOTER
            for item in sample
            for one in self.task([item])
            if not one.error
        ]
        return round(self.num_images * float(np.mean(sizes or [0])))

    def file(self, split: str, number: int) -> str:
        """Return a shard's file name."""
        num_shards = len(self.borders[split]) - 1
        return shards.shard_name(self.source.name, split, number, num_shards)


def make_plan(source: source_lib.Source, config: config_lib.ConvertConfig) -> Plan:
    """Find out what will be written, from the headers of the images.

    Raises:
        UserError: No readable image, or the first does not fit the settings.
    """
    problems: list[str] = []
    first, _ = next(_probe(source, problems.append), (None, None))
    if first is None:
        shown = f" ({problems[0]})" if problems else ""
        raise files.UserError(
            f"Expected at least one readable image in the source, found none{shown}; "
            "mend --source."
        )
    width, height = _image_size(source, first, config)
    record = records.RecordSpec(
        image_shape=(height, width, _channels(source, config)),
        encoding=config.encoding,
        attributes=source.attributes,
        landmarks=source.landmarks,
        box=source.box,
        identity=source.identity,
        label_names=source.label_names,
    )
    borders = {
        split: _borders(len(positions), config.shards)
        for split, positions in source.splits.items()
    }
    return Plan(source, config, record, borders, first)


def _image_size(
    source: source_lib.Source, first: tuple[int, int], config: config_lib.ConvertConfig
) -> tuple[int, int]:
    """Return the (width, height) of every stored image, by the first picture's."""
    crop = crops.parse(config.crop)
    if not crop.needs:
        return images.output_size(crop.region(first, crops.Face()).size, config)
    has = {
        "box": source.box,
        "landmarks": set(source_lib.LANDMARKS) <= set(source.landmarks),
    }
    if not has[crop.needs]:
        raise files.UserError(
            f"Expected a source whose faces have {_NEEDED[crop.needs]} for "
            f"--crop={config.crop}, this one has none; choose another --crop."
        )
    return config.image_size, config.image_size


def _probe(
    source: source_lib.Source, on_problem: Callable[[str], None] = lambda problem: None
) -> Iterator[tuple[tuple[int, int], bool]]:
    """Yield (size, grey) of every readable image, and tell what is wrong with others.

    Those are counted and named when they are converted.
    """
    for split, positions in source.splits.items():
        for item in source.read(split, positions):
            try:
                yield images.probe(item.load()[0])
            except images.ImageError as error:
                on_problem(f"{item.key}: {error}")


def _channels(source: source_lib.Source, config: config_lib.ConvertConfig) -> int:
    if config.channels != "auto":
        return int(config.channels)
    if source.grey is not None:
        return 1 if source.grey else 3
    return 1 if all(grey for _, grey in _probe(source)) else 3


def _borders(num_images: int, num_shards: int) -> np.ndarray:
    num_shards = num_shards or -(-num_images // IMAGES_PER_SHARD)
    num_shards = min(num_shards, num_images)
    return np.arange(num_shards + 1) * num_images // num_shards

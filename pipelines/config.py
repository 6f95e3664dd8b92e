"""Settings of the data side: how shards are made and how batches are read.

Each field carries its default, its allowed values and its help text once; the
programs generate their flags from the fields. Nothing here imports TensorFlow, so
``--help`` stays instant.
"""

import attrs
from attrs import validators

from pipelines import crops, documents, protocols, settings

RESAMPLING_FILTERS = ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos")
ENCODINGS = ("jpeg", "png", "raw")
SPLIT_BY = {
    "source": "the source's own split, or else a hash of the image's key",
    "key": "a hash of its key, whatever the source says",
    "identity": "a hash of the person, so that nobody is in two splits",
}
SHUFFLES = ("global", "blocks", "none")
# What is done to the input (`reading.corruption` has the functions), and what
# `corruption_level` is for it.
CORRUPTIONS = {
    "none": "unused",
    "noise": "standard deviation on the scale of [0, 1]",
    "pixel_dropout": "fraction of pixels set to black",
    "occlusion": "side of the black square as a fraction of the image",
    "grayscale": "unused",
}
CACHES = {
    "none": "nowhere, each batch reads them anew",
    "memory": "in memory",
    "device": "those of training in the memory of the GPU, or of what else trains, "
    "where the train step crops and mirrors them; the others nowhere",
}


def _check_crop(_, attribute, value: str) -> None:
    try:
        crops.parse(value)
    except ValueError as error:
        raise ValueError(f"'{attribute.name}' {error}") from error


def _check_split_ratios(_, attribute, value: tuple[float, ...]) -> None:
    if len(value) == 3 and min(value) >= 0 and abs(sum(value) - 1) < 1e-6:
        return
    raise ValueError(
        f"'{attribute.name}' must be three fractions (train, validation, test) that "
        f"add up to 1, received {value}."
    )


@attrs.frozen
class ConvertConfig:
    """How images become shards; every field changes the bytes that are written."""

    protocol: str = settings.preset(
        "none",
        "Prepare CelebA as a paper did: sets the flags of size, crop, filter, "
        "split and encoding.",
        protocols.PROTOCOLS,
    )
    image_size: int = settings.setting(
        96,
        "Height and width in pixels; 0 keeps the original size.",
        settings.between(0, 8192),
    )
    crop: str = settings.setting(
        "square",
        f"Region kept before resizing. {crops.HELP}.",
        _check_crop,
    )
    pad: bool = settings.setting(
        False,
        "Pad with black, centred, up to image_size instead of resizing; "
        "for small images (28 to 32).",
    )
    channels: str = settings.setting(
        "auto",
        "Colour channels; 'auto' is 3, or 1 when all images are grey.",
        validators.in_(("auto", "1", "3")),
    )
    resample: str = settings.setting(
        "lanczos",
        "Pillow's filter for resizing, widened as images become smaller "
        "(antialiased), but for nearest.",
        validators.in_(RESAMPLING_FILTERS),
    )
    encoding: str = settings.setting(
        "jpeg",
        "How images are stored: jpeg (smallest), png (lossless) or raw "
        "uint8 (lossless, fastest to read, largest).",
        validators.in_(ENCODINGS),
    )
    quality: int = settings.setting(
        95,
        "JPEG quality.",
        settings.between(1, 100),
    )
    shards: int = settings.setting(
        0,
        "Shards per split; 0 makes one per 1,024 images.",
        settings.not_negative,
    )
    limit: int = settings.setting(
        0,
        "Convert at most this many images of each split; 0: all. For the "
        "built-in faces, how many there are (0: 4,096).",
        settings.not_negative,
    )
    split_by: str = settings.choice(
        "source",
        "What decides which split an image is in.",
        SPLIT_BY,
    )
    split_ratios: tuple[float, ...] = settings.setting(
        (0.8, 0.1, 0.1),
        "Train, validation and test fractions where the source has no "
        "split of its own; an image's split is a hash of its key and the seed.",
        _check_split_ratios,
        converter=settings.as_tuple,
    )
    max_bad_images: int = settings.setting(
        0,
        "Damaged images that are listed and skipped before failing.",
        settings.not_negative,
    )
    seed: int = settings.seed()

    def __attrs_post_init__(self):
        settings.check_presets(self)
        if self.pad and not self.image_size:
            raise ValueError(
                "'pad' needs the size to pad to, received 'image_size' 0; set it."
            )
        if crops.parse(self.crop).needs and (self.pad or not self.image_size):
            raise ValueError(
                f"'crop' {self.crop} gives regions of all sizes, which must be "
                f"resized; received 'image_size' {self.image_size} and 'pad' "
                f"{self.pad}, so set a size without padding."
            )


@attrs.frozen
class DataConfig:
    """How shards are read into batches."""

    batch_size: int = settings.setting(
        128,
        "Images per step over all devices (the global batch).",
        settings.positive,
    )
    shuffle: str = settings.setting(
        "global",
        "Order of the training split. global: a fresh permutation of all "
        "examples each epoch, every record read from its own place (local SSD or "
        "memory); blocks: runs of 64 records in random order, mixed within "
        "shuffle_buffer (remote or spinning storage); none: the order of the "
        "shards.",
        validators.in_(SHUFFLES),
    )
    shuffle_buffer: int = settings.setting(
        8192,
        "With shuffle=blocks, encoded records mixed together; twice as "
        "many are held in memory.",
        settings.positive,
    )
    native: str = settings.setting(
        "auto",
        "Read images with the C++ op, which is built at first use; false: "
        "with TensorFlow's ops (the same images, slower); auto: with the op where "
        "it can be had.",
        validators.in_(("auto", "true", "false")),
        may_change=True,
    )
    max_bad_records: int = settings.setting(
        0,
        "Damaged records of a split that are reported and skipped before "
        "failing; a neighbour in the batch stands in for each.",
        settings.not_negative,
        may_change=True,
    )
    keep_last_batch: bool = settings.setting(
        False,
        "Train on the last, smaller batch of an epoch too.",
    )
    cache: str = settings.choice(
        "none",
        "Where decoded images are held, height x width x channels bytes each.",
        CACHES,
        may_change=True,
    )
    random_crop: int = settings.setting(
        0,
        "Augmentation: train on square windows of this many pixels at "
        "random places; validation takes the central ones. 0: whole images.",
        settings.not_negative,
    )
    flip: bool = settings.setting(
        False,
        "Augmentation: mirror half of the images left to right.",
    )
    translate: float = settings.setting(
        0.0,
        "Augmentation: largest shift, as a fraction of the size.",
        settings.fraction,
    )
    zoom: float = settings.setting(
        0.0,
        "Augmentation: largest relative zoom in or out.",
        settings.not_negative,
        validators.lt(1.0),
    )
    brightness: float = settings.setting(
        0.0,
        "Augmentation: largest brightness change, of full range.",
        settings.fraction,
    )
    contrast: float = settings.setting(
        0.0,
        "Augmentation: largest relative contrast change.",
        settings.fraction,
    )
    saturation: float = settings.setting(
        0.0,
        "Augmentation: largest relative saturation change.",
        settings.fraction,
    )
    corruption: str = settings.setting(
        "none",
        "Damage done to the input while the clean image stays the target "
        "(denoising, re-colouring).",
        validators.in_(tuple(CORRUPTIONS)),
    )
    corruption_level: float = settings.setting(
        0.3,
        "; ".join(f"{name}: {level}" for name, level in CORRUPTIONS.items()) + ".",
        settings.fraction,
    )
    seed: int = settings.seed()

    def __attrs_post_init__(self):
        if self.cache != "none" and self.shuffle == "blocks":
            raise ValueError(
                "'cache' reads from memory, which needs no blocks; received "
                "'shuffle' blocks with it, so use global or none."
            )
        if self.cache == "device" and (changing := self.changing()):
            raise ValueError(
                f"'cache' device crops and mirrors images, no more; received "
                f"'{changing[0]}' with it, so use memory, or leave it out."
            )
        if self.cache == "device" and self.keep_last_batch:
            raise ValueError(
                "'cache' device takes full batches; received 'keep_last_batch' with "
                "it, so use memory, or leave it out."
            )

    def changing(self) -> list[str]:
        """Return the names of the settings by which pixels' values are changed."""
        names = ("translate", "zoom", "brightness", "contrast", "saturation")
        changing = [name for name in names if getattr(self, name)]
        return changing + ["corruption"] * (self.corruption != "none")


def read_data_config(values: dict) -> DataConfig:
    """Return what a JSON object says, of earlier versions, too.

    Raises:
        ValueError: It says something else.
    """
    if isinstance(values.get("cache"), bool):
        # What earlier versions knew.
        values = values | {"cache": "memory" if values["cache"] else "none"}
    return documents.build(DataConfig, values, "data")

"""Settings of the data side: how shards are made and how batches are read.

Each field carries its default, its allowed values and its help text once; the
programs generate their flags from the fields. Nothing here imports TensorFlow, so
``--help`` stays instant.
"""

import attrs
from attrs import validators

RESAMPLING_FILTERS = ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos")
ENCODINGS = ("jpeg", "png", "raw")
SHUFFLES = ("global", "blocks", "none")
CORRUPTIONS = ("none", "noise", "pixel_dropout", "occlusion", "grayscale")

_fraction = validators.and_(validators.ge(0.0), validators.le(1.0))


def _check_crop(_, attribute, value: str) -> None:
    if value in ("square", "none") or (value.isdigit() and int(value) > 0):
        return
    raise ValueError(
        f"'{attribute.name}' must be square, none or a positive number of pixels, "
        f"received {value!r}."
    )


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

    image_size: int = attrs.field(
        default=96,
        validator=validators.and_(validators.ge(0), validators.le(8192)),
        metadata={"help": "Height and width in pixels; 0 keeps the original size."},
    )
    crop: str = attrs.field(
        default="square",
        validator=_check_crop,
        metadata={
            "help": "Region kept before resizing: 'square' (largest centred square), "
            "'none' (the whole image, stretched if it is not square), or N (centred "
            "square of N pixels)."
        },
    )
    pad: bool = attrs.field(
        default=False,
        metadata={
            "help": "Pad with black, centred, up to image_size instead of resizing; "
            "for small images (28 to 32)."
        },
    )
    channels: str = attrs.field(
        default="auto",
        validator=validators.in_(("auto", "1", "3")),
        metadata={
            "help": "Colour channels; 'auto' is 3, or 1 when all images are grey."
        },
    )
    resample: str = attrs.field(
        default="lanczos",
        validator=validators.in_(RESAMPLING_FILTERS),
        metadata={"help": "Pillow resampling filter."},
    )
    encoding: str = attrs.field(
        default="jpeg",
        validator=validators.in_(ENCODINGS),
        metadata={
            "help": "How images are stored: jpeg (smallest), png (lossless) or raw "
            "uint8 (lossless, fastest to read, largest)."
        },
    )
    quality: int = attrs.field(
        default=95,
        validator=validators.and_(validators.ge(1), validators.le(100)),
        metadata={"help": "JPEG quality."},
    )
    shards: int = attrs.field(
        default=0,
        validator=validators.ge(0),
        metadata={"help": "Shards per split; 0 makes one per 1,024 images."},
    )
    limit: int = attrs.field(
        default=0,
        validator=validators.ge(0),
        metadata={
            "help": "Convert at most this many images of each split; 0: all. For the "
            "built-in faces, how many there are (0: 4,096)."
        },
    )
    split_ratios: tuple[float, ...] = attrs.field(
        default=(0.8, 0.1, 0.1),
        converter=tuple,
        validator=_check_split_ratios,
        metadata={
            "help": "Train, validation and test fractions where the source has no "
            "split of its own; an image's split is a hash of its key and the seed."
        },
    )
    max_bad_images: int = attrs.field(
        default=0,
        validator=validators.ge(0),
        metadata={"help": "Damaged images that are listed and skipped before failing."},
    )
    seed: int = attrs.field(
        default=1,
        validator=validators.ge(0),
        metadata={"help": "Seed of everything random."},
    )

    def __attrs_post_init__(self):
        if self.pad and not self.image_size:
            raise ValueError(
                "'pad' needs the size to pad to, received 'image_size' 0; set it."
            )


@attrs.frozen
class DataConfig:
    """How shards are read into batches."""

    batch_size: int = attrs.field(
        default=128,
        validator=validators.ge(1),
        metadata={"help": "Images per step over all devices (the global batch)."},
    )
    shuffle: str = attrs.field(
        default="global",
        validator=validators.in_(SHUFFLES),
        metadata={
            "help": "Order of the training split. global: a fresh permutation of all "
            "examples each epoch, every record read from its own place (local SSD or "
            "memory); blocks: runs of 64 records in random order, mixed within "
            "shuffle_buffer (remote or spinning storage); none: the order of the "
            "shards."
        },
    )
    shuffle_buffer: int = attrs.field(
        default=8192,
        validator=validators.ge(1),
        metadata={
            "help": "With shuffle=blocks, encoded records mixed together; twice as "
            "many are held in memory."
        },
    )
    native: str = attrs.field(
        default="auto",
        validator=validators.in_(("auto", "true", "false")),
        metadata={
            "help": "Read images with the C++ op, which is built at first use; false: "
            "with TensorFlow's ops (the same images, slower); auto: with the op where "
            "it can be had.",
            "may_change": True,
        },
    )
    max_bad_records: int = attrs.field(
        default=0,
        validator=validators.ge(0),
        metadata={
            "help": "Damaged records of a split that are reported and skipped before "
            "failing; a neighbour in the batch stands in for each.",
            "may_change": True,
        },
    )
    keep_last_batch: bool = attrs.field(
        default=False,
        metadata={"help": "Train on the last, smaller batch of an epoch too."},
    )
    cache: bool = attrs.field(
        default=False,
        metadata={
            "help": "Hold the decoded images in memory (height x width x channels "
            "bytes each).",
            "may_change": True,
        },
    )
    random_crop: int = attrs.field(
        default=0,
        validator=validators.ge(0),
        metadata={
            "help": "Augmentation: train on square windows of this many pixels at "
            "random places; validation takes the central ones. 0: whole images."
        },
    )
    flip: bool = attrs.field(
        default=False,
        metadata={"help": "Augmentation: mirror half of the images left to right."},
    )
    translate: float = attrs.field(
        default=0.0,
        validator=_fraction,
        metadata={"help": "Augmentation: largest shift, as a fraction of the size."},
    )
    zoom: float = attrs.field(
        default=0.0,
        validator=validators.and_(validators.ge(0.0), validators.lt(1.0)),
        metadata={"help": "Augmentation: largest relative zoom in or out."},
    )
    brightness: float = attrs.field(
        default=0.0,
        validator=_fraction,
        metadata={"help": "Augmentation: largest brightness change, of full range."},
    )
    contrast: float = attrs.field(
        default=0.0,
        validator=_fraction,
        metadata={"help": "Augmentation: largest relative contrast change."},
    )
    saturation: float = attrs.field(
        default=0.0,
        validator=_fraction,
        metadata={"help": "Augmentation: largest relative saturation change."},
    )
    corruption: str = attrs.field(
        default="none",
        validator=validators.in_(CORRUPTIONS),
        metadata={
            "help": "Damage done to the input while the clean image stays the target "
            "(denoising, re-colouring)."
        },
    )
    corruption_level: float = attrs.field(
        default=0.3,
        validator=_fraction,
        metadata={
            "help": "noise: standard deviation on the scale of [0, 1]; pixel_dropout: "
            "fraction of pixels set to black; occlusion: side of the black square as a "
            "fraction of the image; grayscale: unused."
        },
    )
    seed: int = attrs.field(
        default=1,
        validator=validators.and_(validators.ge(0), validators.lt(2**63)),
        metadata={"help": "Seed of everything random."},
    )

    def __attrs_post_init__(self):
        if self.cache and self.shuffle == "blocks":
            raise ValueError(
                "'cache' reads from memory, which needs no blocks; received "
                "'shuffle' blocks with it, so use global or none."
            )

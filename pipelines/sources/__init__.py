"""Where images come from: the table of all kinds of source, and `open_source`.

To add a kind, write its file with two functions of a `Request` (one says whether it is
meant, one opens it) and add its row here: the help of `--source` and the refusals
follow, and a test asks for a tiny case of it.
"""

from collections.abc import Callable

import attrs

from pipelines import config as config_lib
from pipelines import files
from pipelines.convert import source as source_lib
from pipelines.sources import celeba, digits, drawn, idx, npz, plain, prepared
from pipelines.sources import request as request_lib


@attrs.frozen
class Kind:
    """A kind of source.

    Attributes:
        name: In a word; the `kind` of its sources.
        form: What `--source` looks like.
        text: What it is, for the help.
        recognises: Says whether it is what a request means.
        open: Opens it.
    """

    name: str
    form: str
    text: str
    recognises: Callable[[request_lib.Request], bool]
    open: Callable[[request_lib.Request], source_lib.Source]


# The first that recognises a request opens it.
KINDS = (
    Kind(
        "tfds",
        "tfds:NAME",
        "a data set that TFDS has prepared",
        prepared.recognises,
        prepared.open_prepared,
    ),
    Kind(
        "digits",
        "digits",
        "scikit-learn's handwritten digits, 8 x 8",
        digits.recognises,
        digits.open_digits,
    ),
    Kind(
        "faces",
        "faces",
        "the built-in drawn faces",
        drawn.recognises,
        drawn.open_faces,
    ),
    Kind(
        "npz",
        "FILE.npz",
        "arrays of images and labels",
        npz.recognises,
        npz.open_npz,
    ),
    Kind(
        "idx",
        "idx files or their folder",
        "the form of MNIST",
        idx.recognises,
        idx.open_idx,
    ),
    Kind(
        "celeba",
        "a folder or zip with img_align_celeba",
        "CelebA as it is distributed, with its annotation files",
        celeba.recognises,
        celeba.open_celeba,
    ),
    Kind(
        "images",
        "any other folder or zip",
        "the images in it, at any depth",
        plain.recognises,
        plain.open_images,
    ),
)
HELP = "; ".join(f"{kind.form} ({kind.text})" for kind in KINDS)


def open_source(
    source: str, config: config_lib.ConvertConfig, tfds_data_dir: str = ""
) -> source_lib.Source:
    """Open a source, limited to `config.limit` images of each split.

    Args:
        source: What `--source` says, in one of the forms of `KINDS`.
        config: Uses `limit`, `split_ratios` and `seed`.
        tfds_data_dir: Where `tfds:NAME` lies; empty: where TFDS looks by itself.

    Raises:
        UserError: Nothing there, nothing in it, or something wrong with it.
    """
    if files.is_remote(source):
        raise files.UserError(
            f"Expected a local --source, received {source}; copy it to this machine."
        )
    request = request_lib.Request(source, config, tfds_data_dir)
    kind = next((kind for kind in KINDS if kind.recognises(request)), None)
    if kind is None:
        forms = ", ".join(kind.form for kind in KINDS)
        raise files.UserError(
            f"Expected --source in one of the forms {forms}; found nothing at "
            f"{source}; mend --source."
        )
    opened = kind.open(request)
    splits = {name: chosen for name, chosen in opened.splits.items() if len(chosen)}
    if not splits:
        raise files.UserError(
            f"Expected images in {source}, found none; mend --source."
        )
    return attrs.evolve(opened, kind=kind.name, splits=splits).limited(config.limit)

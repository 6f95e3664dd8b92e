"""Where images come from: the table of all kinds of source, and `open_source`.

To add a kind, write its file with two functions of a `Request` (one says whether it is
meant, one opens it) and add its row here: the help of `--source` and the refusals
follow, and a test asks for a tiny case of it.
"""

import functools
from collections.abc import Callable

import attrs

from pipelines import config as config_lib
from pipelines import files
from pipelines.converting import source as source_lib
from pipelines.sources import (
    array_records,
    digits,
    drawn,
    idx,
    labelled,
    layouts,
    npz,
    parquet,
    prepared,
    ranges,
    remote,
    rows,
    webdataset,
)
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
        carries: Which fields of a record it can have beside the image: `key` (a name
            of the image's own), `split`, and those of `source.Annotations`.
        divides: Whether its images can be divided otherwise than it says, as
            `--split_by` asks for.
    """

    name: str
    form: str
    text: str
    recognises: Callable[[request_lib.Request], bool]
    open: Callable[[request_lib.Request], source_lib.Source]
    carries: tuple[str, ...]
    divides: bool = False


_ALL = ("key", "split", "attributes", "landmarks", "box", "identity", "label")


def _of_rows(name: str, form: str, text: str, rows_form: rows.Form) -> Kind:
    return Kind(
        name,
        form,
        text,
        functools.partial(rows.recognises, rows_form),
        functools.partial(rows.open_rows, rows_form),
        _ALL,
        divides=True,
    )


def _of_tree(layout: layouts.Layout) -> Kind:
    return Kind(
        layout.name,
        layout.form,
        layout.text,
        functools.partial(labelled.recognises, layout),
        functools.partial(labelled.open_tree, layout),
        layout.carries,
        divides=True,
    )


# The first that recognises a request opens it.
KINDS = (
    Kind(
        "tfds",
        "tfds:NAME",
        "a data set that TFDS has prepared",
        prepared.recognises,
        prepared.open_prepared,
        ("split", "attributes", "landmarks", "box", "identity", "label"),
    ),
    Kind(
        "digits",
        "digits",
        "scikit-learn's handwritten digits, 8 x 8",
        digits.recognises,
        digits.open_digits,
        ("label",),
    ),
    Kind(
        "faces",
        "faces",
        "the built-in drawn faces",
        drawn.recognises,
        drawn.open_faces,
        ("key", "split", "attributes", "landmarks", "identity"),
    ),
    Kind(
        "npz",
        "FILE.npz",
        "arrays of images and labels",
        npz.recognises,
        npz.open_npz,
        ("split", "label"),
    ),
    Kind(
        "idx",
        "idx files or their folder",
        "the form of MNIST",
        idx.recognises,
        idx.open_idx,
        ("split", "label"),
    ),
    _of_rows(
        "parquet",
        "Parquet files or their folder",
        "Hugging Face's form: a column of images, others of labels or attributes",
        parquet.FORM,
    ),
    _of_rows(
        "webdataset",
        "tars or their folder",
        "images, with .json, .cls or .txt of the same names, as WebDataset has them",
        webdataset.FORM,
    ),
    _of_rows(
        "array_record",
        "ArrayRecord files or their folder",
        "records of TensorFlow's Example, with a feature of images",
        array_records.FORM,
    ),
    *map(_of_tree, layouts.LAYOUTS),
)
HELP = "; ".join(f"{kind.form} ({kind.text})" for kind in KINDS)


def open_source(
    source: str, config: config_lib.ConvertConfig, tfds_data_dir: str = ""
) -> source_lib.Source:
    """Open a source, limited to `config.limit` images of each split.

    Args:
        source: What `--source` says, in one of the forms of `KINDS`.
        config: Uses `limit`, `split_by`, `split_ratios` and `seed`.
        tfds_data_dir: Where `tfds:NAME` lies; empty: where TFDS looks by itself.

    Raises:
        UserError: Nothing there, nothing in it, or something wrong with it.
    """
    if files.is_remote(source) and not remote.is_folder(source):
        raise files.UserError(
            f"Expected a remote --source to be a folder of images, received {source}, "
            "which is none; copy other forms to this machine."
        )
    request = request_lib.Request(source, config, tfds_data_dir)
    kind = next((kind for kind in KINDS if kind.recognises(request)), None)
    if kind is None:
        forms = ", ".join(kind.form for kind in KINDS)
        raise files.UserError(
            f"Expected --source in one of the forms {forms}; found nothing at "
            f"{source}; mend --source."
        )
    if config.split_by != "source" and not kind.divides:
        dividing = ", ".join(kind.form for kind in KINDS if kind.divides)
        raise files.UserError(
            f"Expected for --split_by={config.split_by} a --source in one of the forms "
            f"{dividing}; received {kind.form}, which is divided as it is."
        )
    opened = kind.open(request)
    splits = {name: chosen for name, chosen in opened.splits.items() if len(chosen)}
    if not splits:
        raise files.UserError(
            f"Expected images in {source}, found none; mend --source."
        )
    ranges.require_eight_bits(opened)
    return attrs.evolve(opened, kind=kind.name, splits=splits).limited(config.limit)

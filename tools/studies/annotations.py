"""Labels and attributes of a data set, for studies that need them."""

import numpy as np

from pipelines import files
from tools.studies import catalogue
from tools.studies import lab as lab_lib
from vae_prod.latent import arithmetic, encodings

# Share of images that must have an attribute, and have it not, for the plots.
_RARE = 0.1


def require(lab: lab_lib.Lab, study: str) -> None:
    """Refuse a data set without labels and attributes.

    Raises:
        UserError: It has neither.
    """
    record = lab.manifest.record
    if not (record.label_names or record.attributes):
        others = [s.name for s in catalogue.STUDIES.values() if not s.needs_annotations]
        raise files.UserError(
            f"Expected labels or attributes in {lab.data_dir} for --study={study}, "
            "found neither. Convert the source with its annotations, or choose a study "
            f"that needs none: {', '.join(others)}."
        )


def chosen(lab: lab_lib.Lab) -> tuple[str, ...]:
    """Return the names of `--attributes`, after a look whether there are such.

    Raises:
        UserError: The data set has no such attribute or label.
    """
    record = lab.manifest.record
    known = record.attributes or record.label_names
    if unknown := sorted(set(lab.study.attributes) - set(known)):
        raise files.UserError(
            f"Expected --attributes out of {', '.join(known)}, received "
            f"{', '.join(unknown)}."
        )
    return lab.study.attributes


def classes(
    lab: lab_lib.Lab, encoding: encodings.Encoding, rows: np.ndarray
) -> tuple[np.ndarray | None, tuple[str, ...], str]:
    """Say what to tell points apart by: labels, or an attribute.

    The attribute is the first of `--attributes`, or that which the points tell apart
    most.

    Args:
        lab: The study's data and settings.
        encoding: The encoded images.
        rows: int64 [N], which of them.

    Returns:
        The rows' classes, int [N], or None; the classes' names; what they are, in
        words.
    """
    record = lab.manifest.record
    if encoding.label is not None:
        return np.asarray(encoding.label[rows]), record.label_names, "by label"
    if encoding.attributes is None:
        return None, (), "all alike, for the data set has no labels"
    attributes = np.asarray(encoding.attributes[rows])
    wanted = chosen(lab)
    name = (
        wanted[0]
        if wanted
        else _told_apart_most(lab, encoding.z_mean[rows], attributes)
    )
    number = record.attributes.index(name)
    return attributes[:, number].astype(int), (f"not {name}", name), f"by {name}"


def _told_apart_most(lab: lab_lib.Lab, z: np.ndarray, attributes: np.ndarray) -> str:
    """Name the attribute with the longest vector, of those that aren't rare."""
    names = lab.manifest.record.attributes
    share = attributes.mean(axis=0)
    fit = [n for n, s in zip(names, share, strict=True) if _RARE <= s <= 1 - _RARE]
    means = arithmetic.by_attribute(z, attributes, names)
    return max(fit or names, key=lambda name: _length(means, name))


def _length(means: arithmetic.GroupMeans, name: str) -> float:
    try:
        return float(np.linalg.norm(means.vector(name)))
    except files.UserError:  # All images have it, or none has.
        return 0.0

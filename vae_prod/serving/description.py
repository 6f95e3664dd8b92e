"""What an export says of itself, in `assets.extra/export.json`."""

import hashlib
import json
import os
from collections.abc import Mapping

import attrs

from pipelines import documents, trust
from pipelines import files as files_lib
from vae_prod.serving import signatures

EXTRA = "assets.extra"
NAME = "export.json"
_SCHEMA_VERSION = 1


_AT_LEAST_1 = attrs.validators.ge(1)


@attrs.frozen
class Description:
    """An export's contents.

    Attributes:
        signatures: Name to `meaning`, `inputs` and `outputs`, the latter two name to
            `dtype`, `shape` (null: free) and `meaning`.
        default: Which of them is `serving_default`.
        samplers: Names that `generate` knows.
        attributes: Names that `edit` knows.
        preparation: How pictures become the model's images, see
            `pictures.Preparation`.
        sharpness: Factor by which PNG files are sharpened.
        max_batch: Rows of a request at most.
        max_pixels: Pixels of a picture at most.
        max_request_pixels: Pixels of a request's pictures at most.
        variance: sigma^2 of a likelihood that has one; null for others.
        weights_digest: sha256 of the model's weights, the same as of the run's.
        data_digest: sha256 of the manifest it was trained on.
        made_by: Versions of the packages.
        files: Path in the export to sha256, of every file but this one.
        fingerprint: sha256 of `files`: two exports with the same are the same.
        schema_version: Version of this form.
    """

    signatures: dict[str, dict]
    default: str
    samplers: list[str]
    attributes: list[str]
    preparation: dict
    sharpness: float
    max_batch: int = attrs.field(validator=_AT_LEAST_1)
    max_pixels: int = attrs.field(validator=_AT_LEAST_1)
    max_request_pixels: int = attrs.field(validator=_AT_LEAST_1)
    variance: float | None
    weights_digest: str
    data_digest: str
    made_by: dict[str, str]
    files: dict[str, str] = attrs.field(factory=dict)
    fingerprint: str = ""
    schema_version: int = _SCHEMA_VERSION

    def sealed(self, directory: str) -> "Description":
        """Return the same with the digests of a folder's files."""
        files = {
            name: files_lib.sha256(os.path.join(directory, name))
            for name in _walk(directory)
        }
        text = json.dumps(files, sort_keys=True)
        fingerprint = hashlib.sha256(text.encode()).hexdigest()
        return attrs.evolve(self, files=files, fingerprint=fingerprint)

    def to_text(self) -> str:
        """Return the file's text."""
        return json.dumps(attrs.asdict(self), indent=1) + "\n"


def described(traced: Mapping) -> dict[str, dict]:
    """Describe traced signatures.

    Args:
        traced: Name to concrete function, as `signatures.build` gives them.
    """
    return {
        name: {
            "meaning": signatures.MEANINGS[name.split("_")[0]],
            "inputs": _tensors(function.structured_input_signature[1]),
            "outputs": _tensors(function.structured_outputs),
        }
        for name, function in sorted(traced.items())
    }


def _tensors(tensors: Mapping) -> dict[str, dict]:
    return {
        name: {
            "dtype": tensor.dtype.name,
            "shape": tensor.shape.as_list(),
            "meaning": signatures.MEANINGS[name],
        }
        for name, tensor in tensors.items()
    }


def load(directory: str) -> Description:
    """Read an export's description.

    Raises:
        UserError: There is none, or it can't be read.
    """
    path = os.path.join(directory, EXTRA, NAME)
    try:
        values = documents.build(dict, documents.read(path), NAME)
        version = values.get("schema_version")
        if version == _SCHEMA_VERSION:
            return documents.build(Description, values, NAME)
        reason = f"it is of schema version {version!r}"
    except (OSError, ValueError) as error:
        reason = str(error)
    raise files_lib.UserError(
        f"Expected an export made by tools.export in {directory} (a version's folder, "
        f"such as RUN/export/1): {reason}. Export again, or mend the path."
    )


def require_model(directory: str, description: Description) -> None:
    """Refuse an export whose SavedModel isn't what was exported, before it is loaded.

    TensorFlow's loader is no match for any bytes. What lies in `EXTRA` it doesn't load.

    Raises:
        UserError: Naming the first file that isn't as it was.
    """
    if changes := model_damage(damage(directory, description)):
        raise files_lib.UserError(
            f"Expected the SavedModel in {directory} as tools.export made it, found "
            f"{len(changes)} changes; the first: {changes[0]}. Bring it back, or "
            "export again."
        )


def model_damage(damage: list[str]) -> list[str]:
    """Return those sentences of `damage` that are of what TensorFlow loads."""
    return [told for told in damage if not told.startswith(f"{EXTRA}/")]


def damage(directory: str, description: Description) -> list[str]:
    """Return what is wrong with an export's files, a sentence each; empty: nothing."""
    changes = []
    present = set(_walk(directory))
    for name, digest in description.files.items():
        path = os.path.join(directory, name)
        if name not in present:
            changes.append(f"{name} is missing")
        elif trust.leads_out(directory, name) or not os.path.isfile(path):
            changes.append(f"{name} is no file of the export's own")
        elif files_lib.sha256(path) != digest:
            changes.append(f"{name} isn't what was exported")
    changes += [
        f"{name} was added" for name in sorted(present - set(description.files))
    ]
    return changes


def _walk(directory: str) -> list[str]:
    names = [
        os.path.relpath(os.path.join(folder, name), directory)
        for folder, _, files in os.walk(directory)
        for name in files
    ]
    return sorted(set(names) - {os.path.join(EXTRA, NAME)})

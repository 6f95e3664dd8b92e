"""From a trained model to a version that a model server serves.

MODEL/VERSION/
saved_model.pb, variables/    the SavedModel, see `signatures`
MODEL_CARD.md                 what it is, for people
assets.extra/
export.json                 what it is, for programs, see `description`
golden.npz                  requests with their answers, see `record`
tf_serving_warmup_requests  what a model server plays before it serves
config.json, flags.txt, ... how it was made, as it was given
"""

import os
from collections.abc import Callable, Mapping
from importlib import metadata

import attrs
import tensorflow as tf

from pipelines import files as files_lib
from vae_prod.latent import samplers
from vae_prod.model import codec
from vae_prod.model import vae as vae_lib
from vae_prod.serving import description as description_lib
from vae_prod.serving import functions as functions_lib
from vae_prod.serving import record, replay, signatures, versions

_PACKAGES = ("vae_prod", "tensorflow", "keras")
# Within which what was saved must give the answers of the model in memory. Both run the
# same kernels in the same process.
_TOLERANCE = 1e-5


def export(
    model: vae_lib.VAE,
    directory: str,
    extras: functions_lib.Extras,
    *,
    data_digest: str = "",
    files: Mapping[str, bytes] | None = None,
    card: Callable[[description_lib.Description], str] | None = None,
) -> str:
    """Write the next version of a model, aside first and then under its name.

    Before it gets its name it is loaded, and must answer as the model in memory does.

    Args:
        model: Its weights are exported in float32.
        directory: The model's folder.
        extras: What is served beside the model.
        data_digest: Of the manifest it was trained on.
        files: Files to keep in `assets.extra/`, such as config.json.
        card: Makes MODEL_CARD.md of the description.

    Returns:
        The version's folder.

    Raises:
        UserError: It can't be written, another export is under way, what was saved
            answers differently, or the limits on pictures are too low.
    """
    record.check_limits(extras)
    model = model.with_precision("float32")
    with versions.new(directory) as (aside, path):
        functions = functions_lib.Functions(model, extras)
        traced = signatures.build(functions)
        description = _description(model, extras, traced, data_digest)
        _save(functions, traced, aside)
        extra = os.path.join(aside, description_lib.EXTRA)
        os.makedirs(extra, exist_ok=True)
        for name, data in (files or {}).items():
            _write(os.path.join(extra, name), data)
        if card:
            text = card(description)
            _write(os.path.join(aside, "MODEL_CARD.md"), text.encode())
        golden = record.golden(functions, traced)
        record.save(os.path.join(extra, record.GOLDEN), golden)
        warmup = os.path.join(extra, record.WARMUP)
        record.save_warmup(warmup, golden, record.name_of(directory))
        _check(aside, golden)
        sealed = description.sealed(aside).to_text()
        _write(os.path.join(extra, description_lib.NAME), sealed.encode())
    return path


def _description(
    model: vae_lib.VAE, extras: functions_lib.Extras, traced: Mapping, data_digest: str
) -> description_lib.Description:
    model_codec = codec.from_model(model)
    return description_lib.Description(
        signatures=description_lib.described(traced),
        default=signatures.DEFAULT,
        samplers=[samplers.PRIOR, *sorted(extras.samplers)],
        attributes=list(extras.vectors),
        preparation=attrs.asdict(extras.preparation),
        sharpness=extras.sharpness,
        max_batch=extras.max_batch,
        max_pixels=extras.limits.image,
        max_request_pixels=extras.limits.request,
        variance=model_codec.variance,
        weights_digest=model_codec.weights_digest(),
        data_digest=data_digest,
        made_by={name: metadata.version(name) for name in _PACKAGES},
    )


def _save(functions: functions_lib.Functions, traced: Mapping, path: str) -> None:
    module = tf.Module()
    module.weights = functions.weights
    module.samplers, module.vectors = functions.samplers, functions.vectors
    served = {"serving_default": traced[signatures.DEFAULT], **traced}
    tf.saved_model.save(module, path, signatures=served)


def _check(path: str, golden: Mapping) -> None:
    loaded = tf.saved_model.load(path).signatures
    for name, both in golden.items():
        worst = replay.largest_difference(loaded[name], *both)
        # Files are compared in levels.
        if worst > (1 / 255 if name.endswith("_png") else _TOLERANCE):
            raise files_lib.UserError(
                f"Expected the saved signature {name} to answer as the model does, "
                f"within {_TOLERANCE:g}; it differs by {worst:.3g}. Nothing was "
                "exported; see whether the installation is whole."
            )


def _write(path: str, data: bytes) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)

"""What a run directory holds that an export takes along."""

import functools
import os
from collections.abc import Callable

import attrs

from pipelines import crops, folders, shards
from pipelines import files as files_lib
from pipelines.reading import dataset
from tools import flags, models
from vae_prod.evaluation import evaluation_file
from vae_prod.latent import arithmetic as arithmetic_lib
from vae_prod.latent import fitted as fitted_lib
from vae_prod.latent import samplers as samplers_lib
from vae_prod.model import codec
from vae_prod.model import vae as vae_lib
from vae_prod.serving import card, description, functions, pictures
from vae_prod.training import history, run_directory

# Folder of `attributes.folder`, by tools.fit_attributes.
ATTRIBUTES = "train"


@attrs.frozen(eq=False)
class Contents:
    """What goes with a model.

    Attributes:
        extras: What is served beside it.
        files: Name to content, for the export's `assets.extra`.
        card: Makes the model card of the description.
        left_out: What was left out, and why, for people.
    """

    extras: functions.Extras
    files: dict[str, bytes]
    card: Callable[[description.Description], str]
    left_out: list[str]


def gather(
    values: flags.flags.FlagValues, run: run_directory.Run, model: vae_lib.VAE
) -> Contents:
    """Collect what a run has that belongs to these weights.

    Args:
        values: Flags of tools.export.
        run: The run's settings.
        model: Its model.

    Raises:
        UserError: Its data set isn't the one it was trained on.
        UserError: Its data set is gone.
    """
    left_out: list[str] = []
    manifest = _manifest(values.data_dir or run.data_dir, run)
    digest = codec.from_model(model).weights_digest()
    extras = functions.Extras(
        preparation(manifest, run),
        _samplers(values.run_dir, digest, left_out),
        _vectors(values.run_dir, digest, left_out),
        values.sharpness,
        values.max_batch,
        pictures.Limits(values.max_pixels, values.max_request_pixels),
    )
    evaluations = _evaluations(values.run_dir, digest, left_out)
    facts = card.Facts(
        run.model,
        run.train,
        _data(manifest, run),
        values.weights,
        len(history.read(os.path.join(values.run_dir, "history.csv"))),
        values.recompute_batch_norm,
        evaluations,
    )
    files = models.settings_files(values.run_dir)
    for split, evaluation in evaluations.items():
        text = evaluation_file.to_text(evaluation)
        files[os.path.join("evaluation", f"{split}.json")] = text.encode()
    return Contents(extras, files, functools.partial(card.text, facts), left_out)


def preparation(
    manifest: shards.Manifest, run: run_directory.Run
) -> pictures.Preparation:
    """Return how pictures become the images of a run.

    Those of requests have no annotations: where training images were cropped by them,
    pictures must be cropped already.
    """
    made = manifest.settings
    return pictures.Preparation(
        dataset.image_shape(manifest, run.data),
        manifest.record.image_shape[:2],
        crops.without_annotations(made["crop"]),
        made["pad"] and bool(made["image_size"]),
        made["resample"],
    )


def _manifest(data_dir: str, run: run_directory.Run) -> shards.Manifest:
    manifest = shards.load_manifest(data_dir)
    if manifest.digest() != run.data_digest:
        raise files_lib.UserError(
            "Expected the data set that the run was trained on, whose crop and size "
            f"the export repeats; {data_dir} holds another. Give it with --data_dir."
        )
    return manifest


def _samplers(
    run_dir: str, digest: str, left_out: list[str]
) -> dict[str, fitted_lib.Fitted]:
    samplers = {}
    for kind in samplers_lib.FITTED:
        path = fitted_lib.folder(run_dir, kind)
        if not os.path.isdir(path):
            continue
        sampler = fitted_lib.load(path, kind, "Fit it again with tools.fit_sampler.")
        if sampler.made.get("model") == digest:
            samplers[kind] = sampler
        else:
            left_out.append(f"left out: {path} was fitted to other weights")
    return samplers


def _vectors(run_dir: str, digest: str, left_out: list[str]) -> dict:
    path = arithmetic_lib.folder(run_dir, ATTRIBUTES)
    if not os.path.isdir(path):
        return {}
    means = arithmetic_lib.load(path, "Make them again with tools.fit_attributes.")
    if means.made.get("model") == digest:
        return means.vectors()
    left_out.append(f"left out: {path} was fitted to other weights")
    return {}


def _evaluations(
    run_dir: str, digest: str, left_out: list[str]
) -> dict[str, evaluation_file.Evaluation]:
    evaluations = {}
    folder = os.path.join(run_dir, "evaluation")
    for split, extension in map(os.path.splitext, folders.listed(folder)):
        if extension != ".json":
            continue
        path = os.path.join(folder, f"{split}{extension}")
        evaluation = evaluation_file.load(path)
        if evaluation.model.get("weights_digest") == digest:
            evaluations[split] = evaluation
        else:
            left_out.append(f"left out: {path} is of other weights")
    return evaluations


def _data(manifest: shards.Manifest, run: run_directory.Run) -> dict[str, str]:
    made, read = manifest.settings, run.data
    counts = (
        f"{name} {split.num_examples:,}" for name, split in manifest.splits.items()
    )
    height, width, channels = manifest.record.image_shape
    return {
        "data set": manifest.name,
        "images": ", ".join(counts),
        "stored as": f"{height}x{width}x{channels}, {manifest.record.encoding}",
        "protocol": made.get("protocol", "none"),
        "crop": made["crop"],
        "filter": "none (padded)" if made["pad"] else made["resample"],
        "random crop": str(read.random_crop or "none"),
        "corruption": read.corruption,
        "batch size": str(read.batch_size),
        "manifest": f"`{run.data_digest}`",
    }

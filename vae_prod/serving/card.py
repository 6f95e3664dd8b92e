"""MODEL_CARD.md: what a served model is, out of its own facts.

The sections are those of Mitchell et al. (2019), "Model cards for model reporting",
section 4, as far as a training run knows them.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

import attrs

from pipelines import trust
from vae_prod import config as config_lib
from vae_prod.evaluation import evaluation_file, table
from vae_prod.serving import description as description_lib
from vae_prod.serving import signatures


@attrs.frozen
class Facts:
    """What is known of a model beside its description.

    Attributes:
        model: What it computes.
        train: How it was trained.
        data: Name to value: the data set, its images by split, how they were made.
        weights: Which weights: `best` or `last`.
        epochs: Epochs it was trained for.
        recompute_batch_norm: Batches that batch norm's statistics were recomputed over.
        evaluations: Split to its evaluation, of these weights.
    """

    model: config_lib.ModelConfig
    train: config_lib.TrainConfig
    data: Mapping[str, str]
    weights: str
    epochs: int
    recompute_batch_norm: int
    evaluations: Mapping[str, evaluation_file.Evaluation]


def text(facts: Facts, description: description_lib.Description) -> str:
    """Return the card as Markdown."""
    kind = "variational autoencoder" if facts.model.is_vae else "autoencoder"
    height, width, channels = facts.model.image_shape
    parts = [
        f"# Model card: {kind}, {height}x{width}x{channels}, z_dim {facts.model.z_dim}",
        "Made by `tools.export` from the run's own files; no figure was typed.",
        "## Model",
        _table(("setting", "value"), _settings(facts)),
        "## Training data",
        _table(("", ""), facts.data.items()),
        "## Figures",
        *_figures(facts),
        "## Signatures",
        f"`serving_default` is `{description.default}`. B is free, up to "
        f"{description.max_batch} rows; every row is worked on alike and by itself, "
        "and images are float32 whatever the precision of training.",
        _table(("signature", "takes", "gives", "what it does"), _served(description)),
        _table(("tensor", "what it is"), _meanings(description)),
        *_names(description),
        "## Errors",
        "A request is refused whole, with a sentence that names the input: bytes that "
        "are no JPEG or PNG or are damaged, pictures of more than "
        f"{description.max_pixels:,} pixels or {description.max_request_pixels:,} in a "
        "request, rows of a wrong shape, no row or more than "
        f"{description.max_batch}, numbers that are NaN, infinite or outside their "
        "range, unknown names. The process goes on. Where a server batches requests of "
        "several clients, those in the same batch fail with it: see docs/serving.md on "
        "how to serve what clients send unchecked.",
        "## Intended use and limits",
        *_limits(facts, description),
        "## To check this copy",
        "`python -m tools.verify_export --export_dir=...` compares every file with the "
        "digests in `assets.extra/export.json` and plays `assets.extra/golden.npz`. "
        "A stranger's process needs TensorFlow alone for the latter: each array "
        "`SIGNATURE/in/NAME` is an input, `SIGNATURE/out/NAME` the answer.",
        _table(("", ""), _identity(description)),
    ]
    return "\n\n".join(parts) + "\n"


def _settings(facts: Facts) -> Iterator[tuple[str, str]]:
    for name, value in attrs.asdict(facts.model).items():
        if name != "image_shape":
            yield name, _shown(value)
    train = facts.train
    for name in ("learning_rate", "mixed_precision", "ema", "seed"):
        yield name, _shown(getattr(train, name))
    yield "epochs", f"{facts.epochs}"
    yield "weights", facts.weights
    if facts.recompute_batch_norm:
        yield "batch norm recomputed over", f"{facts.recompute_batch_norm} batches"


def _figures(facts: Facts) -> Iterator[str]:
    if not facts.evaluations:
        yield (
            "None: the run was not evaluated with these weights before the export "
            "(`python -m tools.evaluate --run_dir=...`)."
        )
    for split, evaluation in facts.evaluations.items():
        images = evaluation.protocols["images"]
        data, crop, resample, stored = (
            _plain(images[name]) for name in ("data", "crop", "resample", "stored")
        )
        yield (
            f"On {images['num_images']:,} images of the split {_plain(split)} of "
            f"{data} (crop {crop}, filter {resample}, {stored}):"
        )
        yield f"```\n{table.text(evaluation).strip().replace('```', '---')}\n```"


def _served(description: description_lib.Description) -> Iterator[tuple[str, ...]]:
    for name, signature in description.signatures.items():
        sides = (_tensors(signature[side]) for side in ("inputs", "outputs"))
        yield (f"`{name}`", *sides, signature["meaning"])


def _tensors(tensors: Mapping[str, dict]) -> str:
    return ", ".join(
        f"`{name}` {tensor['dtype']} {_shape(tensor['shape'])}"
        for name, tensor in tensors.items()
    )


def _shape(shape: Sequence[int | None]) -> str:
    return f"[{', '.join('B' if n is None else str(n) for n in shape)}]"


def _meanings(description: description_lib.Description) -> list[tuple[str, str]]:
    names = {
        name
        for signature in description.signatures.values()
        for name in (*signature["inputs"], *signature["outputs"])
    }
    return [(f"`{name}`", signatures.MEANINGS[name]) for name in sorted(names)]


def _names(description: description_lib.Description) -> Iterator[str]:
    yield f"Samplers: {', '.join(f'`{name}`' for name in description.samplers)}."
    if description.attributes:
        listed = ", ".join(map(_code, description.attributes))
        yield f"Attributes: {listed}."
    made = description.preparation
    fitted = "padded" if made["pad"] else f"resized ({made['resample']})"
    yield (
        f"Files given are turned upright, cropped ({made['crop']}) and {fitted} to "
        f"{made['stored'][0]}x{made['stored'][1]}, as training images were."
    )
    if description.sharpness != 1:
        yield f"PNG files given back are sharpened by {description.sharpness:g}."


def _limits(facts: Facts, description: description_lib.Description) -> Iterator[str]:
    yield (
        "It knows images like its training data, aligned and cropped in the same way, "
        "and reflects who is in that data and who is not. Of other images "
        "reconstructions, edits and encodings mean little. Generated images show no "
        "existing person on purpose, but may resemble training images; attributes are "
        "the annotators' opinions, and no basis to judge people by."
    )
    if not facts.model.is_vae and len(description.samplers) == 1:
        yield (
            "It is a plain autoencoder without a fitted sampler: `generate` draws z "
            "from N(0, I), which it was not trained on."
        )


def _identity(description: description_lib.Description) -> Iterator[tuple[str, str]]:
    yield "fingerprint", "in `assets.extra/export.json`"
    yield "weights", f"`{description.weights_digest}`"
    yield "training data", f"`{description.data_digest}`"
    yield from description.made_by.items()


def _shown(value: object) -> str:
    if isinstance(value, (tuple, list)):
        return ", ".join(map(str, value)) or "-"
    return str(value)


def _table(head: Sequence[str], rows) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(value: object) -> str:
    """Return what stays in its cell, and brings no HTML."""
    return (
        " ".join(trust.printable(value).split())
        .replace("|", "\\|")
        .replace("<", "&lt;")
    )


def _code(name: str) -> str:
    """Return a name from data as code, out of which nothing in it leads."""
    return f"`{trust.printable(name).replace('`', chr(39))}`".replace("\n", " ")


def _plain(value: object) -> str:
    """Return a text from data in which Markdown and HTML find no marks."""
    text = " ".join(trust.printable(value).split())
    return re.sub(r"([\\`*_\[\]<>|])", r"\\\1", text)

"""A run's model in other formats, each verified against its SavedModel."""

import contextlib
import json
import os
import textwrap
from collections.abc import Mapping
from importlib import metadata

import attrs

from pipelines import files, folders
from tools import models
from tools.benchmarks import results
from vae_prod.model import codec as codec_lib
from vae_prod.model import vae as vae_lib
from vae_prod.serving import (
    comparison,
    description,
    formats,
    onnx_format,
    opening,
    tflite_format,
    versions,
)
from vae_prod.training import run_directory

FORMATS = {"tflite": tflite_format, "onnx": onnx_format}

# What the same sums in another order may make of the values, relative to the largest
# one: some 1e-6 were seen. A wrong setting or statistic makes 1e-2.
_ROUNDING = 1e-4
_HEADER = (
    "variant",
    "encoder MB",
    "decoder MB",
    "z_mean",
    "z_log_var",
    "image",
    "PSNR dB",
    "change",
)


def write(
    run_dir: str,
    run: run_directory.Run,
    model: vae_lib.VAE,
    kind: str,
    *,
    out: str = "",
    export_dir: str = "",
    data_dir: str = "",
    split: str = "test",
    num_images: int = 256,
    seed: int = 1,
) -> str:
    """Convert a model, verify it against its SavedModel, and print what was found.

    Writes OUT/VERSION/ aside first: two files for each variant, the run's config.json,
    and verified.json with the figures that are printed. A folder of the same version
    is replaced.

    Args:
        run_dir: The run directory.
        run: Its settings.
        model: Its trained model.
        kind: One of `FORMATS`.
        out: Folder of the versions; default: run_dir/KIND.
        export_dir: Folder of the SavedModel's versions; default: run_dir/export.
        data_dir: Converted data set to verify with; default: the run's own.
        split: Which of its splits; held-out images tell more.
        num_images: How many images, at least 1, picked at random.
        seed: Seed of the choice.

    Returns:
        The folder OUT/VERSION, of the version of the SavedModel.

    Raises:
        UserError: There is no SavedModel of these weights; or what was converted
            differs from it by more than rounding, and nothing is left of it; or a
            package that the conversion needs is missing.
        UserError: The data set isn't there, or such a split is missing or empty.
    """
    codec = codec_lib.from_model(model)
    version, reference = _find_export(
        run_dir, export_dir or os.path.join(run_dir, "export"), codec.weights_digest()
    )
    pictures = models.choose_images(run, data_dir, split, num_images, seed)
    facts = {
        formats.DIGEST: codec.weights_digest(),
        formats.VARIANCE: codec.variance,
        "saved_model": version,
        "split": split,
        "num_images": len(pictures["image"]),
        "seed": seed,
        "data_dir": data_dir or run.data_dir,
        "made_by": {
            name: metadata.version(name)
            for name in ("vae_prod", *FORMATS[kind].PACKAGES)
        },
    }
    path = os.path.join(out or os.path.join(run_dir, kind), version)
    with (
        folders.replacing(path, formats.VERIFIED, "--out"),
        files.new_folder(path) as aside,
    ):
        converted = FORMATS[kind].convert(model)
        facts[formats.FILES] = formats.digests(converted)
        _write_files(aside, run_dir, facts, converted)
        verified = facts | {"variants": _verify(aside, kind, reference, pictures)}
        _write_json(os.path.join(aside, formats.VERIFIED), verified)
    print(_to_text(verified))
    return path


def _find_export(
    run_dir: str, export_dir: str, digest: str
) -> tuple[str, codec_lib.Codec]:
    """Open the newest export of these weights; return its version, too."""
    for version in reversed(versions.listed(export_dir)):
        path = versions.path_of(export_dir, version)
        # One that can't be read is no worse than one of other weights.
        with contextlib.suppress(files.UserError):
            if description.load(path).weights_digest == digest:
                return str(version), opening.open_export(path)
    raise files.UserError(
        f"Expected a SavedModel of the same weights in {export_dir} to verify against, "
        f"found none. Make it first: python -m tools.export --run_dir={run_dir}, with "
        "the same --weights and --recompute_batch_norm."
    )


def _write_files(
    folder: str, run_dir: str, facts: Mapping, converted: Mapping[str, bytes]
) -> None:
    """Write what it takes to open the model."""
    config = {formats.CONFIG: models.settings_files(run_dir)["config.json"]}
    for name, data in (config | converted).items():
        with open(os.path.join(folder, name), "wb") as file:
            file.write(data)
    _write_json(os.path.join(folder, formats.VERIFIED), facts)


def _write_json(path: str, values: Mapping) -> None:
    with open(path, "w") as file:
        file.write(json.dumps(values, indent=1) + "\n")


def _verify(
    folder: str, kind: str, reference: codec_lib.Codec, pictures: Mapping
) -> dict[str, dict]:
    """Compare each variant with the SavedModel; return what was found, as JSON values.

    Raises:
        UserError: The float32 variant differs by more than rounding.
    """
    variants = {}
    for variant in FORMATS[kind].VARIANTS:
        opened = FORMATS[kind].open_codec(folder, variant)
        compared = comparison.compare(
            reference, opened, pictures["image"], pictures.get("target")
        )
        if variant == "float32":
            _refuse_wrong(kind, compared)
        sizes = {
            f"{name}_bytes": os.path.getsize(
                os.path.join(folder, FORMATS[kind].file_name(name, variant))
            )
            for name in formats.NETWORKS
        }
        change = {"psnr_change": compared.psnr_change}
        variants[variant] = sizes | attrs.asdict(compared) | change
    return variants


def _refuse_wrong(kind: str, compared: comparison.Comparison) -> None:
    if names := compared.beyond(_ROUNDING):
        differences = ", ".join(
            f"{name} {compared.largest[name]:.2g}" for name in names
        )
        raise files.UserError(
            f"Expected the {kind} model to differ from the SavedModel by rounding (at "
            f"most {_ROUNDING:g} of the largest value), found {differences}; it is not "
            "written."
        )


def _to_text(verified: Mapping) -> str:
    """Return a table of the variants, with a line that explains it."""
    rows = []
    for variant, figures in verified["variants"].items():
        outputs = [
            f"{figures['largest'][name]:.1e} ({figures['mean'][name]:.1e})"
            if name in figures["largest"]
            else ""
            for name in ("z_mean", "z_log_var", "image")
        ]
        sizes = [f"{figures[f'{name}_bytes'] / 1e6:.2f}" for name in formats.NETWORKS]
        change = round(figures["psnr_change"], 4) + 0.0  # No -0.0000.
        psnr = [f"{figures['psnr']:.3f}", f"{change:+.4f}"]
        rows.append([variant, *sizes, *outputs, *psnr])
    reference = next(iter(verified["variants"].values()))["reference_psnr"]
    note = (
        f"Largest (mean) difference from SavedModel {verified['saved_model']} over "
        f"{verified['num_images']} images of split {verified['split']}; PSNR of the "
        f"reconstruction, the SavedModel's is {reference:.3f} dB."
    )
    return f"{results.table(_HEADER, rows)}\n\n{textwrap.fill(note, 88)}"

"""Export a trained run for serving, as the next version of a model.

    python -m tools.export --run_dir=RUN
    python -m tools.export --run_dir=RUN --format=tflite

The first writes RUN/export/VERSION (the next free integer): a SavedModel that needs
neither this package nor Keras, with the signatures encode, decode, reconstruct,
generate, interpolate and edit, each also for JPEG files in (NAME_jpeg) and PNG files
out (NAME_png); beside it a model card, recorded and warm-up requests. Samplers
(tools.fit_sampler) and attributes' vectors (tools.fit_attributes) are served where the
run has some, fitted to the same weights. Check it with tools.verify_export.

The second writes encoder and decoder as TensorFlow Lite files (float32, float16,
dynamic-range quantised) to RUN/tflite/VERSION, or as ONNX to RUN/onnx/VERSION, each
compared with the exported SavedModel on held-out images.
"""

import os
import sys

from tools import flags, program

_FORMATS = ("savedmodel", "tflite", "onnx")


def define(values):
    """Define this program's flags."""
    flags.add_run(values)
    text = "Converted data set of the training; default: where it was then."
    flags.add(values, "data_dir", "", text)
    flags.add(values, "format", "savedmodel", "What to write.", _FORMATS)
    text = "Folder of the versions; default: RUN_DIR/export, /tflite or /onnx."
    flags.add(values, "out", "", text)
    text = (
        "savedmodel: good versions to keep; older ones are removed when the new one is "
        "whole. 0: all."
    )
    flags.add(values, "keep", 0, text)
    text = (
        "savedmodel: factor of Pillow's sharpening of the PNG files it gives; 1: none."
    )
    flags.add(values, "sharpness", 1.0, text)
    text = "savedmodel: rows of a request at most."
    flags.add(values, "max_batch", 256, text, least=1)
    text = "savedmodel: pixels of a picture in a request at most."
    flags.add(values, "max_pixels", 4_000_000, text, least=1)
    text = "savedmodel: pixels of all pictures of a request at most."
    flags.add(values, "max_request_pixels", 64_000_000, text, least=1)


def main(values):
    """Export what the flags say."""
    flags.require(values, "run_dir")
    program.import_tensorflow()
    if values.format == "savedmodel":
        _export(values)
    else:
        _convert(values)


def _export(values) -> None:
    from pipelines import folders
    from tools import models
    from tools.exporting import export_contents
    from vae_prod.serving import export, versions

    directory = values.out or os.path.join(values.run_dir, "export")
    folders.require_literal(os.path.realpath(directory), "--out")
    run, model = models.load_model(
        values.run_dir, values.weights, values.recompute_batch_norm
    )
    contents = export_contents.gather(values, run, model)
    for line in contents.left_out:
        print(line)
    path = export.export(
        model,
        directory,
        contents.extras,
        data_digest=run.data_digest,
        files=contents.files,
        card=contents.card,
    )
    print(f"exported: {path}")
    if values.keep:
        for version in versions.remove_old(directory, values.keep):
            print(f"removed: {versions.path_of(directory, version)}")


def _convert(values) -> None:
    from tools import models
    from tools.exporting import other_formats

    run, model = models.load_model(
        values.run_dir, values.weights, values.recompute_batch_norm
    )
    path = other_formats.write(
        values.run_dir,
        run,
        model,
        values.format,
        out=values.out,
        data_dir=values.data_dir,
    )
    print(f"exported: {path}")


def run():
    """Run the program."""
    sys.exit(program.run(sys.modules[__name__]))


if __name__ == "__main__":
    run()

"""Ask a model server for pictures: a client to use, or to copy from.

    python -m tools.serve_client --action=generate --count=8
    python -m tools.serve_client --action=reconstruct --images=a.jpg,b.png

It speaks TensorFlow Serving's REST form to a server of this package's exports
(exporting/rest_client.py, which needs nothing but Python's standard library). Actions:
    status       print the versions that are served, and their signatures
    generate     images of random z, one for each seed from --seed on
    reconstruct  each image, encoded and decoded
    encode       each image's latent point
    interpolate  from the first image to the second, in --steps images
    edit         each image with --strength times the vector of --attribute added
Pictures go to OUT/ACTION_NAME.png, latent points to OUT/encodings.jsonl, one image a
line.
"""

import itertools
import json
import os
import sys
from collections.abc import Iterable, Iterator

from pipelines import files, settings
from tools import flags, program, progress
from tools.exporting import rest_client

_SIGNATURES = {
    "generate": "generate_png",
    "reconstruct": "reconstruct_jpeg_png",
    "encode": "encode_jpeg",
    "interpolate": "interpolate_jpeg_png",
    "edit": "edit_jpeg_png",
}
_POINT = {"z_mean", "z_log_var"}
_PNG = b"\x89PNG\r\n\x1a\n"
# The largest float32, about: also tells NaN and infinite numbers.
_MOST = 3.5e38
# Up to this many requests there is no progress to show.
_FEW = 3


def define(values):
    """Define this program's flags."""
    flags.add(values, "server", "http://localhost:8501", "Address of the REST API.")
    flags.add(values, "model", "vae", "Name of the model on the server.")
    text = "Version of the model; 0: the newest."
    flags.add(values, "version", 0, text, most=2**63 - 1)
    flags.add(values, "label", "", "Label of a version, such as stable.")
    flags.add(values, "action", "status", "What to ask for.", ("status", *_SIGNATURES))
    flags.add(values, "images", "", "JPEG or PNG files, of any size, with commas.")
    flags.add(values, "out", "served", "Folder for what comes back.")
    flags.add(values, "count", 8, "generate: how many images.", least=1)
    text = "generate: seed of the first; the next one's is 1 more."
    flags.add_seed(values, text)
    text = "generate: factor of the standard deviation; below 1 images are more alike."
    flags.add(values, "temperature", 1.0, text)
    text = "generate: prior, or a fitted one that the export has."
    flags.add(values, "sampler", "prior", text)
    text = "interpolate: how many images, with both ends."
    flags.add(values, "steps", 8, text, least=1)
    flags.add(values, "attribute", "", "edit: the attribute's name, such as Smiling.")
    text = "edit: how often its vector is added."
    flags.add(values, "strength", 1.0, text, least=-settings.LARGEST)
    text = "Rows of a request; not above the export's and the server's largest batch."
    flags.add(values, "batch_size", 16, text, least=1)
    text = "Seconds to wait for an answer."
    flags.add(values, "timeout", 60.0, text, least=0.001, most=86_400)


def main(values):
    """Ask what the flags say."""
    _check(values)
    server = rest_client.Server(
        values.server, values.model, values.version, values.label, values.timeout
    )
    if values.action == "status":
        _print_status(values.model, server)
        return
    os.makedirs(values.out, exist_ok=True)
    keep = _keep_encodings if values.action == "encode" else _keep_pictures
    count = keep(values, _answers(values, server))
    print(f"{values.action}: {count:,} images, in {values.out}")


def _check(values) -> None:
    if values.version and values.label:
        raise flags.UsageError("Expected one of --version and --label, received both.")
    if not values.server.startswith(("http://", "https://")):
        raise flags.UsageError(
            "Expected --server with http:// or https:// before its name, received "
            f"{values.server!r}."
        )
    if values.action in ("status", "generate"):
        return
    flags.require(values, "images", *["attribute"] * (values.action == "edit"))
    count = len(_images(values))
    if values.action == "interpolate" and count != 2:
        raise flags.UsageError(
            f"Expected two --images to go between, received {count}."
        )


def _images(values) -> dict[str, str]:
    """Return the paths of --images by the names of what comes back."""
    paths = [path for path in values.images.split(",") if path]
    named = {os.path.splitext(os.path.basename(path))[0]: path for path in paths}
    if len(named) < len(paths):
        raise flags.UsageError(
            "Expected --images with different names, for what comes back is named "
            f"after them; received {values.images}."
        )
    return named


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise files.UserError(
            f"Expected an image in {path}: {error.strerror}. Mend --images."
        ) from error


def _print_status(model: str, server: rest_client.Server) -> None:
    versions = sorted(server.status().items(), reverse=True)
    states = ", ".join(f"version {number} {state}" for number, state in versions)
    signatures = server.signatures()
    print(f"{model}: {states}")
    for name, signature in sorted(signatures.items()):
        if not name.startswith("__"):
            inputs, outputs = (", ".join(signature[e]) for e in ("inputs", "outputs"))
            print(f"  {name}: {inputs} -> {outputs}")


def _rows(values) -> Iterator[tuple[str, dict]]:
    """Yield what to ask for, row by row, with the name of what comes back."""
    if values.action == "generate":
        draw = {"temperature": values.temperature, "sampler": values.sampler}
        for seed in range(values.seed, values.seed + values.count):
            yield f"{seed:05d}", {"seed": seed, **draw}
    elif values.action == "interpolate":
        start, end = map(_read, _images(values).values())
        ends = {"start_bytes": start, "end_bytes": end}
        for step in range(values.steps):
            yield f"{step:05d}", {**ends, "weight": step / max(values.steps - 1, 1)}
    else:
        edit = {"attribute": values.attribute, "strength": values.strength}
        for name, path in _images(values).items():
            row = {"image_bytes": _read(path)}
            yield name, row | edit if values.action == "edit" else row


def _answers(values, server: rest_client.Server) -> Iterator[tuple[str, object]]:
    """Ask for all rows, some in each request; yield what comes back, with its name."""
    totals = {"generate": values.count, "interpolate": values.steps}
    total = totals.get(values.action, len(_images(values)))
    rows, done = _rows(values), 0
    with progress.Progress() as show:
        while batch := list(itertools.islice(rows, values.batch_size)):
            names, asked = zip(*batch, strict=True)
            try:
                answers = server.predict(_SIGNATURES[values.action], list(asked))
            except files.UserError as error:
                raise files.UserError(
                    f"{error} Asked for: {', '.join(names)}."
                ) from error
            yield from zip(names, answers, strict=True)
            done += len(batch)
            if total > _FEW * values.batch_size:
                show(done, total)


def _keep_pictures(values, answers: Iterable[tuple[str, bytes]]) -> int:
    """Write a PNG file for each answer; return how many."""
    count = 0
    for name, png in answers:
        if not isinstance(png, bytes) or not png.startswith(_PNG):
            raise _other_form(values, name, "a PNG file")
        path = os.path.join(values.out, f"{values.action}_{name}.png")
        files.write(path, png)
        count += 1
    return count


def _keep_encodings(values, answers: Iterable[tuple[str, object]]) -> int:
    """Write a line of JSON for each answer; return how many."""
    path = os.path.join(values.out, "encodings.jsonl")
    count = 0
    with files.open_new(path, "w") as file:
        for name, point in answers:
            # An autoencoder has the one output, without its name.
            point = point if isinstance(point, dict) else {"z_mean": point}
            if not point.keys() <= _POINT or not all(map(_is_point, point.values())):
                raise _other_form(values, name, "lists of finite numbers")
            file.write(json.dumps({"image": name, **point}) + "\n")
            count += 1
    return count


def _is_point(value: object) -> bool:
    is_list = isinstance(value, list)
    return is_list and all(
        isinstance(n, int | float) and -_MOST < n < _MOST for n in value
    )


def _other_form(values, name: str, expected: str) -> files.UserError:
    return files.UserError(
        f"Expected {expected} from {values.server} for {name}, received something "
        "else. Mend --server, --model or --version: it takes an export of this package."
    )


def run():
    """Run the program."""
    sys.exit(program.run(sys.modules[__name__]))


if __name__ == "__main__":
    run()

"""Programs that write, to be attacked: how each starts, and what it makes."""

import atexit
import contextlib
import csv
import functools
import hashlib
import io
import json
import os
import pathlib
import re
import shutil
import tempfile
from collections.abc import Callable
from types import ModuleType
from unittest import mock

import attrs
import tensorflow as tf

from pipelines import folders
from tests.pipelines import fixtures as celeba
from tests.pipelines import shard_fixtures
from tests.tools import serving_fixtures
from tests.vae_prod import run_record
from tools import (
    benchmark_convert,
    benchmark_export,
    benchmark_input,
    benchmark_step,
    build_ops,
    convert_celeba,
    doctor,
    encode,
    evaluate,
    export,
    fit_attributes,
    fit_sampler,
    generate,
    launch,
    make_faces,
    program,
    reproduce,
    serve_client,
    study,
    train,
    tune,
    verify_export,
    write_docs,
)
from vae_prod.core import seals

# Those that take a fraction of a second.
QUICK = ("convert_celeba", "make_faces", "encode", "fit_sampler", "generate")
_TINY = ("--filters=4", "--z_dim=2", "--batch_size=8", "--jit_compile=false")
_TRAINING = (*_TINY, "--epochs=2", "--images_every_epochs=99", "--resume")
_SMALL = ("--rows=1", "--columns=2", "--recompute_batch_norm=0")
_BRIEF = ("--seconds=0.01", "--warmup_seconds=0", "--batch_size=4", "--repetitions=1")
_ROOT = pathlib.Path(__file__).parents[2]


def _check_run(case: tf.test.TestCase, run_dir: str) -> None:
    run_record.assert_same(case, fixtures()[1], run_dir)


def _check_json(case: tf.test.TestCase, out: str) -> None:
    """Check that files of figures, which differ from time to time, are whole."""
    for name in folders.listed(out):
        with open(os.path.join(out, name)) as file:
            case.assertNotEmpty(json.load(file))


def _check_search(case: tf.test.TestCase, search_dir: str) -> None:
    with open(os.path.join(search_dir, "leaderboard.csv")) as file:
        rows = list(csv.DictReader(file))
    case.assertEqual([row["status"] for row in rows], ["completed"] * len(rows))


def _copy_run(out: str) -> None:
    shutil.copytree(fixtures()[1], out)


def _copy_pages(out: str) -> None:
    """Copy the repository's pages, one of which isn't current."""
    os.makedirs(out)
    shutil.copy(_ROOT / "README.md", out)
    shutil.copytree(_ROOT / "docs", os.path.join(out, "docs"))
    path = pathlib.Path(out, "docs", "flags.md")
    path.write_text(path.read_text().replace("--", "-+"))


def _check_reproduction(case: tf.test.TestCase, out: str) -> None:
    with open(os.path.join(out, "reproduction.json")) as file:
        case.assertEqual(json.load(file)["verdict"], "can't tell")
    case.assertEqual(seals.damage(os.path.join(out, "run", "weights", "last")), "")


@attrs.frozen
class Job:
    """A program with flags that make it quick.

    Attributes:
        tool: The program.
        argv: Its flags, in which `{data}`, `{run}`, `{export}`, `{celeba}` and `{out}`
            stand for folders, `{server}` for a model server's address.
        begin: Makes what `{out}` holds before, such as a run in which it writes.
        varies: What differs between two that nobody disturbs, such as times, as a
            pattern of names within `{out}`.
        check: Takes a test case and `{out}`, and checks what `content` doesn't.
        variant: Follows the program's name where it stands here twice.
        variables: Of the environment, in which `{out}` may stand.
    """

    tool: ModuleType
    argv: tuple[str, ...]
    begin: Callable[[str], object] = lambda out: None
    varies: str = "^$"
    check: Callable[[tf.test.TestCase, str], None] = lambda case, out: None
    variant: str = ""
    variables: dict[str, str] = attrs.field(factory=dict)

    @property
    def name(self) -> str:
        """The program's name, and its variant."""
        return " ".join([self.tool.__name__.rpartition(".")[2], self.variant]).strip()

    def command(self, out: str) -> list[str]:
        """Return the flags."""
        places = {"out": out}
        for flag in self.argv:
            for name in re.findall(r"{(\w+)}", flag):
                places.setdefault(name, _PLACES.get(name, lambda: "")())
        return [flag.format(**places) for flag in self.argv]

    def environment(self, out: str) -> dict[str, str]:
        """Return the variables of the environment."""
        return {name: text.format(out=out) for name, text in self.variables.items()}

    def run(self, out: str) -> tuple[int, str]:
        """Run it; return its exit code and what it says on standard error."""
        said = io.StringIO()
        with (
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(said),
            mock.patch.dict(os.environ, self.environment(out)),
        ):
            code = program.run(self.tool, self.command(out))
        return code, said.getvalue()

    def content(self, out: str) -> dict[str, str]:
        """Return the digests of what has a final name, by name, but what varies."""
        digests = {}
        for folder, inner, _ in os.walk(out):
            inner[:] = folders.listed(folder)
            for name in inner:
                path = os.path.join(folder, name)
                if os.path.isfile(path):
                    with open(path, "rb") as file:
                        content = file.read().replace(os.fsencode(out), b"OUT")
                    digests[os.path.relpath(path, out)] = hashlib.sha256(
                        content
                    ).hexdigest()
        return {n: d for n, d in digests.items() if not re.search(self.varies, n)}


JOBS = {
    job.name: job
    for job in (
        Job(
            convert_celeba,
            (
                *("--source=faces", "--limit=12", "--image_size=8", "--shards=2"),
                *("--workers=1", "--out={out}"),
            ),
        ),
        Job(make_faces, ("--num_images=6", "--workers=1", "--out={out}")),
        Job(
            train,
            ("--data_dir={data}", "--run_dir={out}", *_TRAINING),
            varies="^(history|checkpoints|tensorboard|weights)",
            check=_check_run,
        ),
        Job(encode, ("--run_dir={out}",), begin=_copy_run),
        Job(fit_sampler, ("--run_dir={out}",), begin=_copy_run),
        Job(fit_attributes, ("--run_dir={out}",), begin=_copy_run),
        Job(
            evaluate,
            ("--run_dir={run}", "--importance_samples=0", "--out={out}/e.json"),
        ),
        Job(generate, ("--run_dir={run}", "--kinds=prior", "--out={out}", *_SMALL)),
        Job(
            export,
            ("--run_dir={run}", "--out={out}"),
            varies="fingerprint|saved_model.pb|export.json",
        ),
        Job(
            study,
            ("--study=generation", "--run_dir={run}", "--out={out}", *_SMALL),
            varies="^tensorboard",
        ),
        Job(
            tune,
            (
                *("--data_dir={data}", "--search_dir={out}", "--batch_size=8"),
                *("--jit_compile=false", "--search_fact=1,2", "--search_z_dim=2,3"),
                *("--search_filters=thin:2-4,4-6", "--measure_batch_norm=2"),
                *("--tuner=random", "--max_trials=2", "--max_epochs=1"),
            ),
            varies="^(trials|leaderboard|front|workers)",
            check=_check_search,
        ),
    )
}


# Those that are started twice at once only: they take long, or write one file.
MORE = {
    job.name: job
    for job in (
        *(
            Job(
                export,
                ("--run_dir={export}", f"--format={kind}", "--out={out}"),
                variant=kind,
            )
            for kind in ("tflite", "onnx")
        ),
        Job(
            launch,
            (
                *("--workers=1", "--logs={out}/logs"),
                f"--command=train --data_dir={{data}} --run_dir={{out}}/run "
                f"{' '.join(_TRAINING)}",
            ),
            varies="^run/(history|checkpoints|tensorboard|weights|flags|config)",
            check=lambda case, out: _check_run(case, os.path.join(out, "run")),
        ),
        Job(
            reproduce,
            ("--row=study_total", "--source={celeba}", "--out={out}", "--epochs=1"),
            varies="^run/(tensorboard|history|checkpoints|weights)|^report|^reprod",
            check=_check_reproduction,
        ),
        Job(
            verify_export,
            ("--export_dir={export}/export/1", "--seconds=0.01", "--out={out}/a.json"),
            begin=os.makedirs,
            varies="a.json",
            check=_check_json,
        ),
        Job(build_ops, (), variables={"VAE_PROD_CACHE": "{out}"}),
        *(
            Job(
                tool,
                (*argv, "--out={out}/a.json"),
                begin=os.makedirs,
                varies="a.json",
                check=_check_json,
            )
            for tool, argv in (
                (benchmark_input, ("--cases=stock", "--data_dir={data}", *_BRIEF)),
                (
                    benchmark_convert,
                    ("--num_images=4", "--repetitions=1", "--workers=1"),
                ),
                (
                    benchmark_step,
                    (
                        *("--models=ours", "--modes=graph", "--decoders=upsampling"),
                        *("--image_size=16", "--batch_size=4", "--repetitions=1"),
                        *("--steps=1", "--warmup_steps=0"),
                    ),
                ),
                (
                    benchmark_export,
                    ("--formats=keras", "--rounds=1", "--calls=2", "--batches=1"),
                ),
                (doctor, ("--filters=4", "--z_dim=2", "--image_size=16")),
            )
        ),
        Job(
            serve_client,
            (
                *("--server=http://{server}", "--action=generate", "--count=3"),
                "--out={out}",
            ),
        ),
        Job(write_docs, ("--root={out}",), begin=_copy_pages),
    )
}


@functools.cache
def _root() -> str:
    root = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    return root


def _must(tool: ModuleType, *argv: str) -> None:
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = program.run(tool, argv)
    if code:
        raise AssertionError(said.getvalue())


@functools.cache
def fixtures() -> tuple[str, str]:
    """Make a data set and a trained run with encodings; return their folders."""
    root = _root()
    data, run = os.path.join(root, "data"), os.path.join(root, "run")
    os.makedirs(data)
    sizes = {"train": (12, 8), "validation": (8,), "test": (8,)}
    shard_fixtures.write(data, sizes, shape=(8, 8, 3))
    _must(train, f"--data_dir={data}", f"--run_dir={run}", *_TRAINING)
    _must(encode, f"--run_dir={run}")
    return data, run


@functools.cache
def exported() -> str:
    """Make a run with an export; return its folder."""
    run = os.path.join(_root(), "exported")
    shutil.copytree(fixtures()[1], run)
    _must(export, f"--run_dir={run}")
    return run


@functools.cache
def small_celeba() -> str:
    """Make a CelebA of 140 images for training; return its folder."""
    folder, names = os.path.join(_root(), "celeba"), celeba.names(150)
    celeba.write_images(os.path.join(folder, "img_align_celeba"), names)
    parts = [0] * 140 + [1] * 5 + [2] * 5
    lines = [f"{name} {part}" for name, part in zip(names, parts, strict=True)]
    celeba.write_text(folder, "list_eval_partition.txt", lines)
    return folder


@functools.cache
def server() -> str:
    """Start a stand-in model server; return where it listens."""
    folder = os.path.join(_root(), "served")
    serving_fixtures.add_version(folder, 1)
    command = serving_fixtures.command(
        "--model_name=vae", f"--model_base_path={folder}"
    )
    running = serving_fixtures.ModelServer(_root(), command, cwd=serving_fixtures.ROOT)
    atexit.register(running.__exit__)
    return running.rest


_PLACES = {
    "server": server,
    "data": lambda: fixtures()[0],
    "run": lambda: fixtures()[1],
    "export": exported,
    "celeba": small_celeba,
}


def asides(root: str) -> list[str]:
    """Return what lies aside under a folder: unfinished, replaced, locks."""
    return [
        os.path.join(folder, name)
        for folder, inner, names in os.walk(root)
        for name in (*inner, *names)
        if name not in folders.listed(folder)
    ]

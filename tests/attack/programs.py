"""Programs that write, to be attacked: how each starts, and what it makes."""

import atexit
import contextlib
import csv
import functools
import hashlib
import io
import os
import re
import shutil
import tempfile
from collections.abc import Callable
from types import ModuleType

import attrs
import tensorflow as tf

from pipelines import folders
from tests.pipelines import shard_fixtures
from tests.vae_prod import run_record
from tools import (
    convert_celeba,
    encode,
    evaluate,
    export,
    fit_attributes,
    fit_sampler,
    generate,
    make_faces,
    program,
    study,
    train,
    tune,
)

# Those that take a fraction of a second.
QUICK = ("convert_celeba", "make_faces", "encode", "fit_sampler", "generate")
_TINY = ("--filters=4", "--z_dim=2", "--batch_size=8", "--jit_compile=false")
_TRAINING = (*_TINY, "--epochs=2", "--images_every_epochs=99", "--resume")
_SMALL = ("--rows=1", "--columns=2", "--recompute_batch_norm=0")


def _check_run(case: tf.test.TestCase, run_dir: str) -> None:
    run_record.assert_same(case, fixtures()[1], run_dir)


def _check_search(case: tf.test.TestCase, search_dir: str) -> None:
    with open(os.path.join(search_dir, "leaderboard.csv")) as file:
        rows = list(csv.DictReader(file))
    case.assertEqual([row["status"] for row in rows], ["completed"] * len(rows))


@attrs.frozen
class Job:
    """A program with flags that make it quick.

    Attributes:
        tool: The program.
        argv: Its flags, in which `{data}`, `{run}` and `{out}` stand for folders.
        is_made_of: Whether `{out}` is a copy of a run, in which the program writes.
        varies: What differs between two that nobody disturbs, such as times, as a
            pattern of names within `{out}`.
        check: Takes a test case and `{out}`, and checks what `content` doesn't.
    """

    tool: ModuleType
    argv: tuple[str, ...]
    is_made_of: bool = False
    varies: str = "^$"
    check: Callable[[tf.test.TestCase, str], None] = lambda case, out: None

    @property
    def name(self) -> str:
        """The program's name."""
        return self.tool.__name__.rpartition(".")[2]

    def start(self, out: str) -> None:
        """Make what the program starts from."""
        if self.is_made_of:
            shutil.copytree(fixtures()[1], out)

    def command(self, out: str) -> list[str]:
        """Return the flags."""
        data, run = fixtures()
        return [flag.format(data=data, run=run, out=out) for flag in self.argv]

    def run(self, out: str) -> tuple[int, str]:
        """Run it; return its exit code and what it says on standard error."""
        said = io.StringIO()
        with (
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(said),
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
        Job(encode, ("--run_dir={out}",), is_made_of=True),
        Job(fit_sampler, ("--run_dir={out}",), is_made_of=True),
        Job(fit_attributes, ("--run_dir={out}",), is_made_of=True),
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


@functools.cache
def fixtures() -> tuple[str, str]:
    """Make a data set and a trained run with encodings; return their folders."""
    root = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    data, run = os.path.join(root, "data"), os.path.join(root, "run")
    os.makedirs(data)
    sizes = {"train": (12, 8), "validation": (8,), "test": (8,)}
    shard_fixtures.write(data, sizes, shape=(8, 8, 3))
    for tool, *argv in (
        (train, f"--data_dir={data}", *_TRAINING),
        (encode,),
    ):
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            code = program.run(tool, [*argv, f"--run_dir={run}"])
        if code:
            raise AssertionError(said.getvalue())
    return data, run


def asides(root: str) -> list[str]:
    """Return what lies aside under a folder: unfinished, replaced, locks."""
    return [
        os.path.join(folder, name)
        for folder, inner, names in os.walk(root)
        for name in (*inner, *names)
        if name not in folders.listed(folder)
    ]

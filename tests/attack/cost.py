"""What locks, digests and checks cost in a conversion and in a training.

    python -m tests.attack.cost --images=2000 --epochs=2

Drawn faces are converted in this process, and the recipe celeba_96 is trained on them.
The functions that keep the promises are counted meanwhile, with the time that their
thread computes and the time that passes in them; of those that call each other the
outermost counts, and of opening a file carefully what it takes beyond opening it (now
before, now after, for the first time takes longer). Both are compared with the whole
run's, within the same run. `--epochs=0` trains nothing.

Digests of checkpoints and weights are taken once an epoch, whatever its length: what
they cost here counts against so few images.
"""

import argparse
import collections
import contextlib
import functools
import io
import os
import tempfile
import time
from unittest import mock

from pipelines import asides, documents, files, folders, trust
from pipelines.converting import journal
from tools import convert_celeba, make_faces, program, train
from tools.benchmarks import results
from vae_prod.core import seals

_WATCHED = {
    "locks": ((files, "_lock"), (files, "_require_held")),
    "digests": ((files, "sha256"), (seals, "write"), (seals, "damage")),
    "fsync": ((files, "sync"), (files, "_sync_tree")),
    "checks": (
        *((folders, "require_ours"), (files, "remove_leftovers")),
        *((asides, "leftovers"), (trust, "open_regular"), (documents, "read")),
        (documents, "build"),
    ),
    "journal": ((journal.Journal, "save"), (journal.Journal, "begin")),
}


def _now() -> tuple[float, float]:
    return time.thread_time(), time.perf_counter()


class Meter:
    """Counts calls by kind.

    Attributes:
        found: Kind to calls, seconds computed and seconds passed.
    """

    def __init__(self):
        self.found = collections.defaultdict(lambda: [0, 0.0, 0.0])
        self._within = False

    @contextlib.contextmanager
    def watching(self):
        """Give a context in which what is watched is counted."""
        with contextlib.ExitStack() as stack:
            for kind, functions in _WATCHED.items():
                for owner, name in functions:
                    counted = self._counted(kind, owner, name)
                    stack.enter_context(mock.patch.object(owner, name, counted))
            yield

    def _subtract_opening(self, found, path):
        begun = _now()
        with open(path, "rb"):
            ended = _now()
        found[1] -= ended[0] - begun[0]
        found[2] -= ended[1] - begun[1]

    def _counted(self, kind, owner, name):
        function = getattr(owner, name)

        @functools.wraps(function)
        def call(*args, **kwargs):
            if self._within:
                return function(*args, **kwargs)
            self._within = True
            found, is_opening = self.found[kind], name == "open_regular"
            if is_opening and found[0] % 2:
                self._subtract_opening(found, args[0])
            begun = _now()
            try:
                return function(*args, **kwargs)
            finally:
                ended = _now()
                found[1] += ended[0] - begun[0]
                found[2] += ended[1] - begun[1]
                if is_opening and not found[0] % 2:
                    self._subtract_opening(found, args[0])
                found[0] += 1
                self._within = False

        return call


def measure(tool, *argv: str) -> list[list[str]]:
    """Run a program; return rows of what was counted, as text."""
    meter, said = Meter(), io.StringIO()
    computed, passed = time.process_time(), time.perf_counter()
    with (
        meter.watching(),
        contextlib.redirect_stdout(said),
        contextlib.redirect_stderr(said),
    ):
        code = program.run(tool, argv)
    if code:
        raise SystemExit(said.getvalue())
    computed, passed = time.process_time() - computed, time.perf_counter() - passed
    counted = dict(meter.found)
    counted["all of these"] = [
        sum(each) for each in zip(*counted.values(), strict=True)
    ]
    name = tool.__name__.rpartition(".")[2]
    return [
        [
            f"{name}: {kind}",
            *(str(calls), f"{1e3 * busy:,.1f}", f"{busy / computed:.2%}"),
            *(f"{1e3 * waited:,.1f}", f"{waited / passed:.2%}"),
        ]
        for kind, (calls, busy, waited) in counted.items()
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--epochs", type=int, default=2)
    given = parser.parse_args()
    program.import_tensorflow()
    with tempfile.TemporaryDirectory() as root:
        faces, records = os.path.join(root, "faces"), os.path.join(root, "records")
        argv = [f"--num_images={given.images}", f"--out={faces}"]
        with contextlib.redirect_stdout(io.StringIO()):
            program.run(make_faces, argv)
        rows = measure(
            convert_celeba, f"--source={faces}", f"--out={records}", "--workers=1"
        )
        if given.epochs:
            places = (f"--data_dir={records}", f"--run_dir={root}/run")
            length = (f"--epochs={given.epochs}", "--images_every_epochs=99")
            rows += measure(train, "--recipe=celeba_96", *places, *length)
    head = ("", "calls", "computed, ms", "of the run's", "passed, ms", "of the run's")
    print(results.table(head, rows))


if __name__ == "__main__":
    main()

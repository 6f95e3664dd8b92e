"""Mutated records through the op's own code, under the address sanitizer and others.

`VAE_PROD_FUZZ` sets the number of mutations, `VAE_PROD_FUZZ_FIRST` the number of the
first: mutations are numbered, and a failure names its number.
"""

import os
import pathlib
import shutil
import struct
import subprocess

import numpy as np
import pytest
import tensorflow as tf

from pipelines import records
from pipelines.reading.native import build
from tests.pipelines import shard_fixtures
from tests.pipelines.reading.native import samples

_COUNT = int(os.environ.get("VAE_PROD_FUZZ", "20000"))
_FIRST = int(os.environ.get("VAE_PROD_FUZZ_FIRST", "0"))
_ROOT = pathlib.Path(__file__).parents[4]
_SOURCE = pathlib.Path(__file__).with_name("fuzz.cc")
_ENCODINGS = ("jpeg", "png", "raw")
_SANITIZE = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")


def _write_seeds(folder: pathlib.Path) -> pathlib.Path:
    """Write what is mutated: each encoding in all its kinds, in both colorings."""
    shape = (samples.HEIGHT, samples.WIDTH)
    (raw,) = shard_fixtures.make_images(1, (*shape, 3), seed=2)
    images = {
        (encoding, channels): data
        for channels in (1, 3)
        for encoding, data in (
            ("jpeg", samples.jpegs(channels)),
            ("png", samples.pngs()),
            ("raw", [raw[..., :channels].tobytes()]),
        )
    }
    # Each encoding is mutated about as often as another.
    most = max(map(len, images.values()))
    path, one = folder / "seeds", folder / "one"
    with open(path, "wb") as file:
        for (encoding, channels), kinds in images.items():
            spec = records.RecordSpec((*shape, channels), encoding, identity=True)
            for data in (kinds * most)[:most]:
                with tf.io.TFRecordWriter(str(one)) as writer:
                    writer.write(records.encode(spec, "key", data, {"identity": [7]}))
                framed = one.read_bytes()
                head = (_ENCODINGS.index(encoding), *spec.image_shape, len(framed))
                file.write(struct.pack("<5i", *head) + framed)
    return path


def _build(folder: pathlib.Path) -> pathlib.Path:
    compiler = shutil.which("g++")
    if not compiler:
        pytest.skip("no g++ to build the fuzzer")
    probe = folder / "probe.cc"
    probe.write_text("int main() {}\n")
    command = [compiler, *_SANITIZE, str(probe), "-o", str(folder / "probe")]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("the compiler has no address sanitizer")
    program = folder / "fuzz"
    command = [
        *(compiler, *_SANITIZE, "-fno-omit-frame-pointer", "-g", "-O1", "-w"),
        *(f"-I{_ROOT}", *build.compile_flags(), str(_SOURCE), "-o", str(program)),
        *(*build.link_flags(), f"-Wl,-rpath,{tf.sysconfig.get_lib()}"),
    ]
    subprocess.run(command, check=True)
    return program


@pytest.mark.slow
def test_mutated_records_do_no_harm(tmp_path):
    seeds, program = _write_seeds(tmp_path), _build(tmp_path)
    # TensorFlow's libraries aren't instrumented: their leaks and doubled symbols are
    # none of ours.
    options = "detect_leaks=0:detect_odr_violation=0"
    with open(tmp_path / "log", "w+", errors="replace") as log:
        done = subprocess.run(
            [program, seeds, str(_FIRST), str(_COUNT)],
            env={**os.environ, "ASAN_OPTIONS": options},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            check=False,
        )
        log.seek(0)
        assert done.returncode == 0, log.read()[-6000:]
    print(done.stdout)
    rows = [line.split(",") for line in done.stdout.splitlines()[1:]]
    counts = np.array([row[2:] for row in rows], int)
    assert counts[:, 0].sum() == _COUNT
    # Mutations got to every stage, or they would show nothing.
    for encoding in _ENCODINGS:
        decoded = counts[[row[0] == encoding for row in rows], 1:].sum(axis=0)
        assert decoded.all(), done.stdout

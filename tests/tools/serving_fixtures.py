"""Tiny exports, and stand-in model servers in processes of their own."""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import tensorflow as tf

from tests.vae_prod.serving import tiny_exports
from vae_prod.serving import description, record

ROOT = pathlib.Path(__file__).parents[2]
# An interpreter with TensorFlow starts in seconds; a machine may be busy.
_START_SECONDS = 120


def _shorten(path: str) -> None:
    """Keep the first of the requests that warm a model up: each one takes its time."""
    first = next(tf.data.TFRecordDataset(path).as_numpy_iterator())
    with tf.io.TFRecordWriter(path) as writer:
        writer.write(first)


def add_version(folder: str, version: int) -> None:
    """Add a version to a tiny model's folder, whole from the first moment.

    Each version has other weights.
    """
    os.makedirs(folder, exist_ok=True)
    aside = os.path.join(folder, ".aside")
    shutil.copytree(tiny_exports.exported(), aside)
    _shorten(os.path.join(aside, description.EXTRA, record.WARMUP))
    prefix = os.path.join(aside, "variables", "variables")
    saved = tf.train.load_checkpoint(prefix)
    names = sorted(saved.get_variable_to_shape_map())
    values = [saved.get_tensor(name) for name in names]
    tf.raw_ops.SaveV2(
        prefix=prefix,
        tensor_names=names,
        shape_and_slices=[""] * len(names),
        tensors=[v * version if isinstance(v, np.ndarray) else v for v in values],
    )
    os.rename(aside, os.path.join(folder, str(version)))


class ModelServer:
    """A stand-in model server that runs until it is stopped; a context manager.

    Args:
        folder: Where its log goes.
        command: What starts it.
        **options: For `subprocess.Popen`.

    Attributes:
        rest: host:port of the REST API.
        grpc: host:port of the gRPC API.
    """

    def __init__(self, folder: str, command: list[str], **options):
        self._path = os.path.join(folder, "model_server.log")
        with open(self._path, "wb") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, start_new_session=True, **options
            )
        try:
            self.grpc = self._wait_for(r"Running ModelServer at 0.0.0.0:(\d+)")
            self.rest = self._wait_for(r"Exporting HTTP/REST API at:localhost:(\d+)")
        except BaseException:
            self.__exit__()
            raise

    def _wait_for(self, pattern: str) -> str:
        end = time.monotonic() + _START_SECONDS
        while time.monotonic() < end and self.is_running():
            if found := re.search(pattern, self.log()):
                return f"localhost:{found[1]}"
            time.sleep(0.05)
        raise AssertionError(f"The model server didn't start:\n{self.log()}")

    def log(self) -> str:
        """Return what it has printed until now."""
        with open(self._path, errors="replace") as file:
            return file.read()

    def is_running(self) -> bool:
        """Say whether its process is the one that was started."""
        return self._process.poll() is None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # With what a shell may have started.
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def command(*flags: str) -> list[str]:
    """Return the command that starts a stand-in on free ports."""
    module = "tests.tools.model_server"
    return [sys.executable, "-m", module, *flags, "--port=0", "--rest_api_port=0"]

"""The pool of worker processes: results in order, a bounded amount in flight.

Workers are started fresh (never forked from a process that runs TensorFlow) and
import this module only: Pillow and NumPy, no TensorFlow. They give finished records,
so that all that is left to the process that started them is to write these.
"""

import collections
import contextlib
import functools
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent import futures
from concurrent.futures import process

import attrs

from pipelines import config as config_lib
from pipelines import crops, examples, files
from pipelines.converting import images
from pipelines.converting import source as source_lib

_CHUNK_IMAGES = 32
_CHUNK_BYTES = 8 << 20


@attrs.frozen
class Prepared:
    """What became of one item: `record` is what to write, or `error` says why not."""

    key: str
    record: bytes = b""
    error: str = ""


@attrs.frozen
class Task:
    """Prepares chunks of items; picklable.

    Attributes:
        config: How images become shards.
        shape: (height, width, channels) that every stored image has.
        features: Names of the features of each integer field, as
            `records.feature_names` gives them.
        landmarks: Names of the landmark coordinates.
    """

    config: config_lib.ConvertConfig
    shape: tuple[int, int, int]
    features: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict)
    landmarks: tuple[str, ...] = ()

    def __call__(self, chunk: list[source_lib.Item]) -> list[Prepared]:
        """Prepare some items.

        Raises:
            UserError: An image is sound but does not fit the settings.
        """
        return [self._prepare(item) for item in chunk]

    def _prepare(self, item: source_lib.Item) -> Prepared:
        picture, annotations = item.load()
        try:
            face = source_lib.face(self.landmarks, annotations)
            data = images.convert(picture, self.config, self.shape, face)
        except (images.ImageError, crops.AnnotationError) as error:
            return Prepared(item.key, error=f"{item.key}: {error}")
        except files.UserError as error:
            raise files.UserError(f"{item.key}: {error}") from error
        record = examples.encode(self.features, item.key, data, annotations)
        return Prepared(item.key, record)

    @property
    def chunk_size(self) -> int:
        """Images per chunk: few where images are large."""
        height, width, channels = self.shape
        return max(1, min(_CHUNK_IMAGES, _CHUNK_BYTES // (height * width * channels)))


# From a picklable function of a list to a list, a stream and the number of elements
# per list, to the stream of the results.
Mapper = Callable[[Callable[[list], list], Iterable, int], Iterator]


@contextlib.contextmanager
def start(num_workers: int) -> Iterator[Mapper]:
    """Start the workers and give a function that maps a stream in chunks, in order.

    The stream of results raises UserError where a worker was killed.

    Args:
        num_workers: Number of processes; 1 works in this one.
    """
    if num_workers == 1:
        yield _map_here
        return
    context = multiprocessing.get_context("spawn")
    pool = process.ProcessPoolExecutor(num_workers, context, _follow_parent)
    try:
        yield functools.partial(_map, pool, 2 * num_workers)
    finally:
        pool.shutdown(cancel_futures=True)


def _follow_parent() -> None:
    """Leave Ctrl-C to the parent, and end when the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def end() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=end, daemon=True).start()


def _chunks(stream: Iterable, chunk_size: int) -> Iterator[list]:
    """Yield lists of elements: as many as are asked for, fewer where they are large."""
    chunk, num_bytes = [], 0
    for element in stream:
        chunk.append(element)
        num_bytes += getattr(element, "num_bytes", 0)
        if len(chunk) == chunk_size or num_bytes >= _CHUNK_BYTES:
            yield chunk
            chunk, num_bytes = [], 0
    if chunk:
        yield chunk


def _map_here(
    function: Callable[[list], list], stream: Iterable, chunk_size: int
) -> Iterator:
    for chunk in _chunks(stream, chunk_size):
        yield from function(chunk)


def _map(
    pool: futures.Executor,
    num_ahead: int,
    function: Callable[[list], list],
    stream: Iterable,
    chunk_size: int,
) -> Iterator:
    running: collections.deque[futures.Future] = collections.deque()
    try:
        for chunk in _chunks(stream, chunk_size):
            running.append(pool.submit(function, chunk))
            if len(running) > num_ahead:
                yield from running.popleft().result()
        while running:
            yield from running.popleft().result()
    except process.BrokenProcessPool as error:
        raise files.UserError(
            "Expected the worker processes to live, one ended abruptly (killed, or out "
            "of memory?); run the same command again to continue, with fewer --workers."
        ) from error

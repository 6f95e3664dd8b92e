"""Compiles the op, once, into a per-user cache. Free of side effects at import.

The library's name tells the sources, the TensorFlow version and the flags it was made
of and for, so any change makes another one, and the wheel needs no compiler.

A library is code that runs: the cache is a folder of this user alone, and beside each
library stands its sha256, so that a damaged or foreign one is built anew, never loaded.
"""

import contextlib
import hashlib
import os
import pathlib
import platform
import shlex
import shutil
import subprocess

import tensorflow as tf

from pipelines import files, folders, trust

_HERE = pathlib.Path(__file__).parent
_UNIT = "kernels.cc"
_HEADERS = ("ops.h", "example.h", "record.h", "image.h")
_COMPILERS = ("c++", "g++", "clang++")
_FLAGS = ("-shared", "-fPIC", "-O3", "-w")
# The headers of the decoders come with TensorFlow; so does their code.
_DECODERS = ("libjpeg_turbo", "png")
_MAX_REASON = 300


def cache_dir() -> pathlib.Path:
    """Return the folder of built libraries."""
    return pathlib.Path(folders.user_cache())


def compile_flags() -> list[str]:
    """Return what the compiler needs to find TensorFlow's headers."""
    external = f"-I{tf.sysconfig.get_include()}/external"
    decoders = [f"{external}/{name}" for name in _DECODERS]
    return [*tf.sysconfig.get_compile_flags(), *decoders]


def link_flags() -> list[str]:
    """Return what the linker needs: TensorFlow's libraries, decoders included."""
    return [*tf.sysconfig.get_link_flags(), "-l:libtensorflow_cc.so.2"]


def library_path() -> pathlib.Path:
    """Return where the library for these sources and this TensorFlow stands."""
    digest = hashlib.sha256()
    made_for = (tf.version.VERSION, tf.version.COMPILER_VERSION, platform.machine())
    for part in (*made_for, *_FLAGS):
        digest.update(f"{part}\n".encode())
    for name in (_UNIT, *_HEADERS):
        digest.update((_HERE / name).read_bytes())
    return cache_dir() / f"input-op-{digest.hexdigest()[:20]}.so"


def digest_path(library: pathlib.Path) -> pathlib.Path:
    """Return the file that holds a library's sha256, in the form of `sha256sum`."""
    return library.with_suffix(".sha256")


def is_sound(library: pathlib.Path) -> bool:
    """Say whether a library is there as this user built it."""
    digest = digest_path(library)
    if not trust.is_private(str(library)) or not trust.is_private(str(digest)):
        return False
    return digest.read_text(errors="replace") == _digest_line(library, str(library))


def build() -> pathlib.Path:
    """Compile the library unless it is there and sound; return its path.

    Any number of processes may call this at once: one compiles, the others wait.

    Raises:
        UserError: There is no compiler, it fails, or the cache can't be written or is
            not this user's alone.
    """
    path = library_path()
    remedy = (
        f"Set {folders.CACHE_VARIABLE} to a folder of this user that can be written."
    )
    trust.make_private(str(path.parent), remedy)
    if is_sound(path):
        return path
    lock = path.with_suffix(".lock")
    with contextlib.ExitStack() as stack:
        # Some network file systems have no locks: then several compile the same.
        with contextlib.suppress(files.UserError):
            stack.enter_context(files.locked(str(lock)))
        if not is_sound(path):
            _compile(path)
    return path


def _digest_line(library: pathlib.Path, content: str) -> str:
    return f"{files.sha256(content)}  {library.name}\n"


def _compile(path: pathlib.Path) -> None:
    compiler = os.environ.get("CXX") or next(filter(shutil.which, _COMPILERS), None)
    if not compiler:
        raise files.UserError(
            f"Expected a C++ compiler ({', '.join(_COMPILERS)} or CXX) to build the "
            "input op, found none. Install one, or use --native=false."
        )
    with files.new_file(str(path)) as aside:
        command = [*shlex.split(compiler), *_FLAGS, *compile_flags()]
        command += [str(_HERE / _UNIT), "-o", aside, *link_flags()]
        if reason := _failure(command):
            raise files.UserError(
                f"Expected {compiler} to build the input op, it failed ({reason}). "
                "Mend or change the compiler (CXX), or use --native=false."
            )
        digest = str(digest_path(path))
        files.write(digest, _digest_line(path, aside))
        for written in (aside, digest):  # Whatever the umask.
            os.chmod(written, 0o700)


def _failure(command: list[str]) -> str:
    """Run a command; return why it failed, empty if it didn't."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        return error.strerror or str(error)
    said = " ".join(done.stderr.split())[:_MAX_REASON]
    return said or f"exit status {done.returncode}" if done.returncode else ""

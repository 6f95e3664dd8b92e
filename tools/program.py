"""How every program starts, helps and fails.

A program is a module with a docstring, `define(values)`, `main(values)` and `run()`:
nothing is defined at import, so programs can be imported side by side.
"""

import ast
import importlib
import importlib.resources
import inspect
import os
import platform
import re
import sys
import tempfile
from collections.abc import Sequence
from importlib import metadata
from types import ModuleType

from absl import flags as absl_flags

from pipelines import failures, files, trust
from tools import flags, output
from vae_prod.core import processor

# Exit code of a program that SIGTERM or Ctrl-C stopped at a point to go on from.
STOPPED = 143
_NOT_PRINTED = "Expected to write to standard output, that failed"
_LOST = "Let it lead elsewhere, or make room, and run the same command again."
# Of a flag's value: many paths with commas.
_MOST_CHARACTERS = 1 << 16
# Of a flag's name, and of a file of flags.
_LONGEST_NAME = 100
_MOST_BYTES = 1 << 20
# What TensorFlow prints at start-up that asks nothing of anyone.
_CHATTER = re.compile(
    r"I0000 |WARNING: All log messages|E0000 .*cuInit|To enable the f"
)
# By which Keras would train for less, or otherwise.
_KERAS_VARIABLES = (
    *("KERAS_MAX_EPOCHS", "KERAS_MAX_STEPS_PER_EPOCH", "KERAS_NNX_ENABLED"),
)
# Starts this package's code, whatever the current folder holds (-P leaves that out),
# in what `environment` gives.
PYTHON = (sys.executable, "-P")
RECIPES = importlib.resources.files("vae_prod") / "recipes"


def run(program: ModuleType, argv: Sequence[str] | None = None) -> int:
    """Run a program and return its exit code.

    A user's mistake, and what the machine refuses, is told in one sentence on standard
    error, without a traceback (exit code 2 for flags, 1 for the rest); anything else is
    a bug and keeps its traceback.
    """
    with output.lasting() as out:
        code = _run(program, sys.argv[1:] if argv is None else argv)
        out.flush()
        if out.error:
            _tell(f"{_NOT_PRINTED} ({out.error.strerror}). {_LOST}")
        return code or (1 if out.error else 0)


def _run(program: ModuleType, argv: Sequence[str]) -> int:
    values = absl_flags.FlagValues()
    try:
        if {"--help", "-help", "-h"} & set(argv):
            program.define(values)
            print(help_text(program, values), end="")
            return 0
        if "--version" in argv:
            print(version_text())
            return 0
        values = parse(program, argv)
        program.main(values)
    except files.PlaceError as error:
        _tell(error.failure.sentence(flags.naming(values, error.failure.path)))
        return error.exit_code
    except files.UserError as error:
        _tell(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except Exception as error:
        failure = failures.find(error)
        if not failure:
            raise
        _tell(failure.sentence(flags.naming(values, failure.path)))
        return 1
    return 0


def environment(**more: str) -> dict[str, str]:
    """Return what processes of this package are started in, with variables added."""
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    path = os.environ.get("PYTHONPATH", "")
    joined = os.pathsep.join(filter(None, (root, path)))
    return os.environ | {"PYTHONPATH": joined} | more


def run_by_name(name: str, argv: Sequence[str]) -> int:
    """Run another program of the package in this process, as `run` does."""
    return run(importlib.import_module(f"tools.{name}"), argv)


def _tell(sentence: str) -> None:
    print(f"error: {trust.printable(sentence)}", file=sys.stderr)


def parse(program: ModuleType, argv: Sequence[str]) -> absl_flags.FlagValues:
    """Return a program's flags with the values that the arguments give them.

    Raises:
        UsageError: An argument isn't a flag of the program, or its value is refused.
    """
    values = absl_flags.FlagValues()
    program.define(values)
    arguments = expand(argv)
    for argument in arguments:
        # What absl suggests in their place takes it a call a letter.
        if argument.startswith("-") and len(argument.partition("=")[0]) > _LONGEST_NAME:
            raise flags.UsageError(f"Unknown flag {_shortened(argument)}.")
    try:
        positional = values([program.__name__, *arguments])[1:]
    except absl_flags.Error as error:
        raise flags.UsageError(_shortened(" ".join(str(error).split()))) from error
    if positional:
        raise flags.UsageError(
            f"Expected flags of the form --name=value, received "
            f"{_shortened(repr(positional[0]))}."
        )
    for name in values:
        values[name].value = _usable(name, values[name].value)
    flags.check_places(values)
    return values


def _shortened(text: str, most: int = 300) -> str:
    return (
        text if len(text) <= most else f"{text[: most // 2]} ... {text[-most // 2 :]}"
    )


def _usable(name: str, value):
    """Return a value, a path at ~ in full: a shell leaves that as it is after `=`.

    Raises:
        UsageError: No path or name can be so, or there is no user of that name.
    """
    if isinstance(value, tuple):
        return tuple(_usable(name, item) for item in value)
    if not isinstance(value, str):
        return value
    if "\0" in value or len(value) > _MOST_CHARACTERS or not _is_unicode(value):
        raise flags.UsageError(
            f"Expected at most {_MOST_CHARACTERS:,} characters in UTF-8, none of them "
            f"NUL, as --{name}, received {_shortened(ascii(value))}. Choose another "
            "name, or rename the file."
        )
    if not value.startswith("~"):
        return value
    expanded = os.path.expanduser(value)
    if expanded == value:
        raise flags.UsageError(
            f"Expected a path as --{name}, received {value}, of a user without a home. "
            "Write the path in full, or ./ before the name."
        )
    return expanded


def _is_unicode(text: str) -> bool:
    """Say whether all of a text was in UTF-8; what wasn't came as surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def expand(argv: Sequence[str], within: tuple[str, ...] = ()) -> list[str]:
    """Replace each --flagfile=PATH and --recipe=NAME by the flags it holds.

    A file has a flag a line, as absl has it; lines that begin with # or // are left
    out. What is between the files it names stays in its place, so later flags win.

    Args:
        argv: Arguments.
        within: The files that these are from, the outermost first.

    Raises:
        UsageError: A file can't be read, or names itself.
    """
    expanded = []
    arguments = iter(argv)
    for argument in arguments:
        name, has_value, value = argument.lstrip("-").partition("=")
        if not argument.startswith("-") or name not in ("flagfile", "recipe"):
            expanded.append(argument)
            continue
        value = value if has_value else next(arguments, "")
        path = str(_recipe_path(value)) if name == "recipe" else value
        path = os.path.expanduser(path)
        if path in within:
            raise flags.UsageError(f"--flagfile={path} names itself, by {within[-1]}.")
        expanded += expand(_lines(path), (*within, path))
    return expanded


def _lines(path: str) -> list[str]:
    """Return the flags in a file."""
    try:
        with trust.open_regular(path) as file:
            data = file.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            raise ValueError(f"more than {_MOST_BYTES:,} bytes")
        lines = [line.strip() for line in data.decode().splitlines()]
    except (OSError, ValueError) as error:
        raise flags.UsageError(
            f"Expected flags in UTF-8, one a line, in --flagfile={_shortened(path)}, "
            f"it can't be read ({_shortened(str(error))}). Mend it, or the path."
        ) from error
    return [line for line in lines if line and not line.startswith(("#", "//"))]


def _recipe_path(recipe: str):
    path = RECIPES / f"{recipe}.flags"
    if recipe in recipe_names():
        return path
    raise flags.UsageError(
        f"--recipe must be one of {', '.join(recipe_names())}, received "
        f"{_shortened(repr(recipe))}."
    )


def recipe_names() -> list[str]:
    """Return the names of the packaged recipes."""
    names = (entry.name for entry in RECIPES.iterdir())
    return sorted(n.removesuffix(".flags") for n in names if n.endswith(".flags"))


def help_text(program: ModuleType, values: absl_flags.FlagValues) -> str:
    """Return the program's docstring and every flag with its values and default.

    What a program has to say from a table, its `more_help()`, stands between them.
    """
    # Under `python -OO` a module has none.
    text = program.__doc__ or ast.get_docstring(ast.parse(inspect.getsource(program)))
    parts = [text.strip(), ""]
    if hasattr(program, "more_help"):
        parts += [program.more_help(), ""]
    parts.append("Flags, beside --help and --version:")
    for name in values:
        flag = values[name]
        parts.append(f"  --{name}={flags.describe_values(flag)}")
        parts.append(absl_flags.text_wrap(flags.describe(flag), 88, "      "))
    return "\n".join(parts) + "\n"


def version_text() -> str:
    """Return the versions of this package and of what its numbers depend on."""
    packages = ("vae_prod", "tensorflow", "keras")
    versions = [f"{name} {metadata.version(name)}" for name in packages]
    return ", ".join([*versions, f"Python {platform.python_version()}"])


def import_tensorflow() -> None:
    """Import TensorFlow without its start-up chatter, which buries a program's words.

    It goes to the file descriptor before any Python setting can stop it. Warnings
    and errors are passed on, but for the one that every machine without a GPU prints.
    Keras is set as this package needs it, whatever environment and `keras.json` say.
    """
    for name in _KERAS_VARIABLES:
        os.environ.pop(name, None)
    os.environ["KERAS_BACKEND"] = "tensorflow"
    processor.use_onednn()
    with tempfile.TemporaryFile() as caught:
        stderr = os.dup(2)
        os.dup2(caught.fileno(), 2)
        try:
            importlib.import_module("tensorflow").config.list_physical_devices()
            keras = importlib.import_module("keras").config
            keras.set_image_data_format("channels_last")
            keras.set_floatx("float32")
            keras.set_epsilon(1e-7)
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            caught.seek(0)
            lines = caught.read().decode(errors="replace").splitlines(keepends=True)
            sys.stderr.writelines(line for line in lines if not _CHATTER.match(line))

"""How every program starts, helps and fails.

A program is a module with a docstring, `define(values)`, `main(values)` and `run()`:
nothing is defined at import, so programs can be imported side by side.
"""

import importlib
import importlib.resources
import os
import re
import sys
import tempfile
from collections.abc import Sequence
from types import ModuleType

from absl import flags as absl_flags

from pipelines import failures, files, trust
from tools import flags, output

# Exit code of a program that SIGTERM or Ctrl-C stopped at a point to go on from.
STOPPED = 143
_NOT_PRINTED = "Expected to write to standard output, that failed"
_LOST = "Let it lead elsewhere, or make room, and run the same command again."
# What TensorFlow prints at start-up that asks nothing of anyone.
_CHATTER = re.compile(
    r"I0000 |WARNING: All log messages|E0000 .*cuInit|To enable the f"
)
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
    try:
        positional = values([program.__name__, *expand(values, argv)])[1:]
    except absl_flags.Error as error:
        raise flags.UsageError(" ".join(str(error).split())) from error
    if positional:
        raise flags.UsageError(
            f"Expected flags of the form --name=value, received {positional[0]!r}."
        )
    for name in values:
        values[name].value = _at_home(name, values[name].value)
    flags.check_places(values)
    return values


def _at_home(name: str, value):
    """Expand a path that begins with ~, which a shell leaves as it is after `=`.

    Raises:
        UsageError: There is no such user.
    """
    if isinstance(value, tuple):
        return tuple(_at_home(name, item) for item in value)
    if not isinstance(value, str) or not value.startswith("~"):
        return value
    expanded = os.path.expanduser(value)
    if expanded == value:
        raise flags.UsageError(
            f"Expected a path as --{name}, received {value}, of a user without a home. "
            "Write the path in full, or ./ before the name."
        )
    return expanded


def expand(values: absl_flags.FlagValues, argv: Sequence[str]) -> list[str]:
    """Replace each --flagfile and --recipe=NAME by the flags it holds."""
    expanded = []
    arguments = iter(values.read_flags_from_files(argv))
    for argument in arguments:
        name, _, recipe = argument.lstrip("-").partition("=")
        if argument.startswith("-") and name == "recipe":
            path = _recipe_path(recipe or next(arguments, ""))
            expanded += expand(values, [f"--flagfile={path}"])
        else:
            expanded.append(argument)
    return expanded


def _recipe_path(recipe: str):
    path = RECIPES / f"{recipe}.flags"
    if path.is_file():
        return path
    raise flags.UsageError(
        f"--recipe must be one of {', '.join(recipe_names())}, received {recipe!r}."
    )


def recipe_names() -> list[str]:
    """Return the names of the packaged recipes."""
    names = (entry.name for entry in RECIPES.iterdir())
    return sorted(n.removesuffix(".flags") for n in names if n.endswith(".flags"))


def help_text(program: ModuleType, values: absl_flags.FlagValues) -> str:
    """Return the program's docstring and every flag with its values and default.

    What a program has to say from a table, its `more_help()`, stands between them.
    """
    parts = [program.__doc__.strip(), ""]
    if hasattr(program, "more_help"):
        parts += [program.more_help(), ""]
    parts.append("Flags:")
    for name in values:
        flag = values[name]
        parts.append(f"  --{name}={flags.describe_values(flag)}")
        parts.append(absl_flags.text_wrap(flags.describe(flag), 88, "      "))
    return "\n".join(parts) + "\n"


def import_tensorflow() -> None:
    """Import TensorFlow without its start-up chatter, which buries a program's words.

    It goes to the file descriptor before any Python setting can stop it. Warnings
    and errors are passed on, but for the one that every machine without a GPU prints.
    """
    with tempfile.TemporaryFile() as caught:
        stderr = os.dup(2)
        os.dup2(caught.fileno(), 2)
        try:
            importlib.import_module("tensorflow").config.list_physical_devices()
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            caught.seek(0)
            lines = caught.read().decode(errors="replace").splitlines(keepends=True)
            sys.stderr.writelines(line for line in lines if not _CHATTER.match(line))

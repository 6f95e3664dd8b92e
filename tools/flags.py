"""From config fields to absl flags, and how every program starts and fails.

A program is a module with a docstring, `define(values)` and `main(values)`:
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

import attrs
from absl import flags

from pipelines import files as files_lib

# Exit code of a program that SIGTERM or Ctrl-C stopped at a point to go on from.
STOPPED = 143
# What TensorFlow prints at start-up that asks nothing of anyone.
_CHATTER = re.compile(
    r"I0000 |WARNING: All log messages|E0000 .*cuInit|To enable the f"
)
RECIPES = importlib.resources.files("vae_prod") / "recipes"


class UsageError(files_lib.UserError):
    """A flag that is missing, unknown or contradicts another, in one sentence."""

    exit_code = 2


class _TupleParser(flags.ArgumentParser):
    """Comma-separated values, kept as a tuple."""

    def __init__(self, item: type):
        super().__init__()
        self.item = item
        names = {int: "integer", float: "number", str: "name"}
        self.syntactic_help = f"{names[item]},..."

    def parse(self, argument):
        if isinstance(argument, (tuple, list)):
            return tuple(argument)
        try:
            return tuple(self.item(part) for part in argument.split(",") if part)
        except ValueError as error:
            raise ValueError(
                "expected numbers with commas between them, such as 1,2,3"
            ) from error


class _TupleSerializer(flags.ArgumentSerializer):
    def serialize(self, value):
        return ",".join(str(item) for item in value)


def _tuple_items(field: attrs.Attribute) -> type | None:
    kinds = {tuple[int, ...]: int, tuple[float, ...]: float, tuple[str, ...]: str}
    return kinds.get(field.type)


def is_flag(field: attrs.Attribute) -> bool:
    """Say whether a config field is set by a flag (not by the data)."""
    return "help" in field.metadata


def choices(field: attrs.Attribute) -> tuple[str, ...]:
    """Return a field's allowed values, empty where they are not a fixed set."""
    return tuple(getattr(field.validator, "options", ()) or ())


def define(values: flags.FlagValues, *configs: type) -> None:
    """Define one flag for each field of the configs; shared names become one flag."""
    for config in configs:
        for field in filter(is_flag, attrs.fields(config)):
            if field.name not in values:
                _define_field(values, field)


def _define_field(values: flags.FlagValues, field: attrs.Attribute) -> None:
    text = field.metadata["help"]
    if _tuple_items(field):
        parser, serializer = _TupleParser(_tuple_items(field)), _TupleSerializer()
        flags.DEFINE(parser, field.name, field.default, text, values, serializer)
    else:
        add(values, field.name, field.default, text, choices(field))


def add(
    values: flags.FlagValues, name: str, default, text: str, allowed: Sequence = ()
) -> None:
    """Define a flag of its own, of its default's type.

    Args:
        values: Where to define it.
        name: Its name.
        default: bool, int, float or str; a tuple takes such values, with commas.
        text: Its help.
        allowed: The values it may take, of a str; empty: any.
    """
    if allowed:
        flags.DEFINE_enum(name, default, allowed, text, flag_values=values)
    elif isinstance(default, tuple):
        parser = _TupleParser(type(default[0]))
        flags.DEFINE(parser, name, default, text, values, _TupleSerializer())
    else:
        definers = {
            bool: flags.DEFINE_boolean,
            int: flags.DEFINE_integer,
            float: flags.DEFINE_float,
            str: flags.DEFINE_string,
        }
        definers[type(default)](name, default, text, flag_values=values)


def add_run(values: flags.FlagValues) -> None:
    """Define the flags that name a trained run and its weights."""
    add(values, "run_dir", "", "Run directory, as tools.train made it.")
    add(values, "weights", "best", "Which weights.", ("best", "last"))
    add(
        values,
        "recompute_batch_norm",
        0,
        "Training batches over which batch-norm statistics are recomputed before use; "
        "0: the moving statistics. Worth it after few training steps.",
    )


def add_trained(values: flags.FlagValues) -> None:
    """Define the flags that name a trained model, in a run or an export, and data."""
    add_run(values)
    add(values, "export_dir", "", "An export's version folder, instead of a run.")
    add(values, "data_dir", "", "Converted data set; default: the run's own.")


def build(values: flags.FlagValues, config: type, **given):
    """Make a config from the parsed flags and from what is given in their place."""
    chosen = {f.name: values[f.name].value for f in attrs.fields(config) if is_flag(f)}
    try:
        return config(**(chosen | given))
    except (ValueError, TypeError) as error:
        raise UsageError(f"Flag refused: {error.args[0]}") from error


def require(values: flags.FlagValues, *names: str) -> None:
    """Raise a `UsageError` for the first of the flags that was not given."""
    for name in names:
        if not values[name].value:
            raise UsageError(
                f"--{name} is required: {values[name].help} See --help for the rest."
            )


def require_not_negative(values: flags.FlagValues, *names: str) -> None:
    """Raise a `UsageError` for the first of the numbers that is negative."""
    for name in names:
        if values[name].value < 0:
            raise UsageError(
                f"--{name} must not be negative, received {values[name].value}."
            )


def to_flagfile(values: flags.FlagValues, without: Sequence[str] = ()) -> str:
    """Return the values of the flags, all but some, as the text of a flagfile."""
    own = [values[name] for name in sorted(values) if name not in without]
    lines = [flag.serialize() for flag in own if flag.value not in (None, "")]
    return "".join(f"{line}\n" for line in lines if line)


def from_configs(*configs: attrs.AttrsInstance, **more: str) -> str:
    """Return configs, and flags beside them, as the text of a flagfile."""
    values = flags.FlagValues()
    for name, value in more.items():
        add(values, name, "", "")
        values[name].value = value
    define(values, *map(type, configs))
    for config in configs:
        for field in filter(is_flag, attrs.fields(type(config))):
            values[field.name].value = getattr(config, field.name)
    return to_flagfile(values)


def _expand(values: flags.FlagValues, argv: Sequence[str]) -> list[str]:
    """Replace each --flagfile and --recipe=NAME by the flags it holds."""
    expanded = []
    arguments = iter(values.read_flags_from_files(argv))
    for argument in arguments:
        name, _, recipe = argument.lstrip("-").partition("=")
        if argument.startswith("-") and name == "recipe":
            path = _recipe_path(recipe or next(arguments, ""))
            expanded += _expand(values, [f"--flagfile={path}"])
        else:
            expanded.append(argument)
    return expanded


def _recipe_path(recipe: str):
    path = RECIPES / f"{recipe}.flags"
    if path.is_file():
        return path
    raise UsageError(
        f"--recipe must be one of {', '.join(recipe_names())}, received {recipe!r}."
    )


def recipe_names() -> list[str]:
    """Return the names of the packaged recipes."""
    files = (entry.name for entry in RECIPES.iterdir())
    return sorted(n.removesuffix(".flags") for n in files if n.endswith(".flags"))


def help_text(program: ModuleType, values: flags.FlagValues) -> str:
    """Return the program's docstring and every flag with its values and default."""
    parts = [program.__doc__.strip(), "", "Flags:"]
    for name in values:
        flag = values[name]
        parts.append(f"  --{name}={describe_values(flag)}")
        parts.append(flags.text_wrap(describe(flag), 88, "      "))
    return "\n".join(parts) + "\n"


def describe(flag: flags.Flag) -> str:
    """Return a flag's help with its default."""
    text = flag.help
    if isinstance(flag, flags.EnumFlag):
        text = text.removeprefix(f"<{'|'.join(flag.parser.enum_values)}>: ")
    default = (flag.default_as_str or "").strip("'")
    return f"{text} (default: {default})" if default else text


def describe_values(flag: flags.Flag) -> str:
    """Return what a flag takes, as it is shown in help texts."""
    if isinstance(flag, flags.EnumFlag):
        return "{" + ",".join(flag.parser.enum_values) + "}"
    if flag.boolean:
        return "{true,false}"
    kind = flag.parser.syntactic_help or flag.flag_type()
    return kind.removeprefix("a ").removeprefix("an ").upper().replace(" ", "_")


def _parse(program: ModuleType, argv: Sequence[str]) -> flags.FlagValues:
    values = flags.FlagValues()
    program.define(values)
    try:
        positional = values([program.__name__, *_expand(values, argv)])[1:]
    except flags.Error as error:
        raise UsageError(" ".join(str(error).split())) from error
    if positional:
        raise UsageError(
            f"Expected flags of the form --name=value, received {positional[0]!r}."
        )
    return values


def run(program: ModuleType, argv: Sequence[str] | None = None) -> int:
    """Run a program and return its exit code.

    A user's mistake is told in one sentence on standard error, without a traceback
    (exit code 2 for flags, 1 for the rest); anything else is a bug and keeps its
    traceback.
    """
    argv = sys.argv[1:] if argv is None else argv
    try:
        if {"--help", "-help", "-h"} & set(argv):
            values = flags.FlagValues()
            program.define(values)
            print(help_text(program, values), end="")
            return 0
        program.main(_parse(program, argv))
    except files_lib.UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


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

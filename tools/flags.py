"""From config fields to absl flags, and how every program starts and fails.

A program is a module with a docstring, `define(values)` and `main(values)`:
nothing is defined at import, so programs can be imported side by side.
"""

import importlib.resources
import sys
from collections.abc import Sequence
from types import ModuleType

import attrs
from absl import flags

from pipelines import errors as data_errors
from vae_prod import errors as run_errors

RECIPES = importlib.resources.files("vae_prod") / "recipes"


class UsageError(Exception):
    """A flag that is missing, unknown or contradicts another, in one sentence."""


class _TupleParser(flags.ArgumentParser):
    """Comma-separated numbers, kept as a tuple."""

    def __init__(self, item: type):
        super().__init__()
        self.item = item
        self.syntactic_help = f"comma-separated {item.__name__}s"

    def parse(self, argument):
        if isinstance(argument, (tuple, list)):
            return tuple(argument)
        try:
            return tuple(self.item(part) for part in argument.split(",") if part)
        except ValueError as error:
            raise ValueError(
                f"expected comma-separated {self.item.__name__}s such as 1,2,3"
            ) from error


class _TupleSerializer(flags.ArgumentSerializer):
    def serialize(self, value):
        return ",".join(str(item) for item in value)


def _tuple_items(field: attrs.Attribute) -> type | None:
    return {tuple[int, ...]: int, tuple[float, ...]: float}.get(field.type)


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
    arguments = (field.name, field.default, field.metadata["help"])
    if choices(field):
        name, default, text = arguments
        flags.DEFINE_enum(name, default, choices(field), text, flag_values=values)
    elif _tuple_items(field):
        parser = _TupleParser(_tuple_items(field))
        flags.DEFINE(parser, *arguments, values, _TupleSerializer())
    else:
        definers = {
            bool: flags.DEFINE_boolean,
            int: flags.DEFINE_integer,
            float: flags.DEFINE_float,
            str: flags.DEFINE_string,
        }
        definers[field.type](*arguments, flag_values=values)


def build(values: flags.FlagValues, config: type, **given):
    """Make a config from the parsed flags and from the facts given beside them."""
    chosen = {f.name: values[f.name].value for f in attrs.fields(config) if is_flag(f)}
    try:
        return config(**chosen, **given)
    except (ValueError, TypeError) as error:
        raise UsageError(f"Flag refused: {error.args[0]}") from error


def require(values: flags.FlagValues, *names: str) -> None:
    """Raise a `UsageError` for the first of the flags that was not given."""
    for name in names:
        if not values[name].value:
            raise UsageError(
                f"--{name} is required: {values[name].help} See --help for the rest."
            )


def to_flagfile(values: flags.FlagValues) -> str:
    """Return the values of all flags as the text of a flagfile."""
    own = [values[name] for name in sorted(values) if name not in ("help", "recipe")]
    lines = [flag.serialize() for flag in own if flag.value is not None]
    return "".join(f"{line}\n" for line in lines if line)


def _expand_recipes(argv: Sequence[str]) -> list[str]:
    """Replace --recipe=NAME by the --flagfile of the packaged recipe."""
    expanded = []
    arguments = iter(argv)
    for argument in arguments:
        name, _, value = argument.lstrip("-").partition("=")
        if not argument.startswith("-") or name != "recipe":
            expanded.append(argument)
            continue
        value = value or next(arguments, "")
        path = RECIPES / f"{value}.flags"
        if not path.is_file():
            known = sorted(entry.name.removesuffix(".flags") for entry in _recipes())
            raise UsageError(
                f"--recipe must be one of {', '.join(known)}, received {value!r}."
            )
        expanded.append(f"--flagfile={path}")
    return expanded


def _recipes():
    return (entry for entry in RECIPES.iterdir() if entry.name.endswith(".flags"))


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
        positional = values([program.__name__, *_expand_recipes(argv)])[1:]
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
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except (data_errors.DataError, run_errors.RunError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0

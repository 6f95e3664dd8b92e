"""Flags: defined from config fields, made into configs, written as flagfiles."""

import math
import os
import re
from collections.abc import Callable, Sequence
from typing import Any

import attrs
from absl import flags

from pipelines import files as files_lib
from pipelines import settings

# What a flag that names files or folders takes: paths of this machine, or those of
# TensorFlow's other file systems, too. Several have commas between them.
LOCAL, ANY = "local", "any"
_PLACES = {
    "data_dir": ANY,
    "tfds_data_dir": ANY,
    **dict.fromkeys(("run_dir", "search_dir", "export_dir", "init_from"), LOCAL),
    **dict.fromkeys(
        ("source", "out", "logs", "compare", "images", "compile_cache", "root"), LOCAL
    ),
    **dict.fromkeys(("judge", "recognise", "features"), LOCAL),
}


class UsageError(files_lib.UserError):
    """A flag that is missing, unknown or contradicts another, in one sentence."""

    exit_code = 2


# Numbers in plain form: of Python's other ones (1_000, nan), none is meant.
_FORMS = {
    int: r"[+-]?[0-9]{1,19}",
    float: r"[+-]?([0-9]+\.?|\.[0-9])[0-9]*(e[+-]?\d+)?",
}
_EXAMPLES = {int: "an integer such as 12", float: "a number such as 0.5"}


def _read(item: type, text: str):
    """Return the value of a text.

    Raises:
        ValueError: It is none of the type.
    """
    if item is str:
        return text
    if re.fullmatch(_FORMS[item], text.strip(), re.ASCII | re.IGNORECASE):
        value = item(text)
        if math.isfinite(value):
            return value
    raise ValueError(f"expected {_EXAMPLES[item]}")


class _Parser(flags.ArgumentParser):
    """Reads a value, or several with commas, kept as a tuple, and applies a rule.

    Args:
        item: int, float or str.
        rule: Raises ValueError for a value that isn't allowed.
        several: Whether it takes a tuple.
    """

    def __init__(self, item: type, rule: Callable[[Any], None], several: bool = False):
        super().__init__()
        self._item, self._rule, self._several = item, rule, several
        name = {int: "integer", float: "number", str: "string"}[item]
        if several:
            name = "name,..." if item is str else f"{name},..."
        self.syntactic_help = name

    def parse(self, argument):
        if not isinstance(argument, str):
            value = argument
        elif self._several:
            parts = filter(None, argument.split(","))
            try:
                value = tuple(_read(self._item, part) for part in parts)
            except ValueError as error:
                raise ValueError(f"{error}, or several with commas") from error
        else:
            value = _read(self._item, argument)
        self._rule(value)
        return value


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
                add_field(values, field)


def add_field(values: flags.FlagValues, field: attrs.Attribute) -> None:
    """Define the flag of a field, by whose rules a value is checked when it is read."""

    def rule(value):
        if field.validator:
            try:
                field.validator(None, field, value)
            except ValueError as error:  # attrs gives more than the text.
                raise ValueError(error.args[0]) from error

    text = field.metadata["help"]
    if items := _tuple_items(field):
        _define(values, field.name, field.default, text, items, rule)
    elif choices(field) or isinstance(field.default, bool):
        add(values, field.name, field.default, text, choices(field))
    else:
        _define(values, field.name, field.default, text, type(field.default), rule)


def _define(values, name: str, default, text: str, item: type, rule) -> None:
    several = isinstance(default, tuple)
    serializer = _TupleSerializer() if several else flags.ArgumentSerializer()
    # By name, or absl would keep the parser for all flags of the same.
    parser = _Parser(item=item, rule=rule, several=several)
    flags.DEFINE(parser, name, default, text, values, serializer)
    values[name].place = _PLACES.get(name, "") if item is str else ""


def add(
    values: flags.FlagValues,
    name: str,
    default,
    text: str,
    allowed: Sequence = (),
    least: float = 0,
    most: float = settings.LARGEST,
    place: str = "",
) -> None:
    """Define a flag of its own, of its default's type.

    Args:
        values: Where to define it.
        name: Its name.
        default: bool, int, float or str; a tuple takes one such value or more, with
            commas.
        text: Its help.
        allowed: The values it may take, of a str; empty: any.
        least: The smallest number it takes.
        most: The largest one.
        place: LOCAL or ANY, of one that names files or folders; empty: as all of this
            name.
    """

    def rule(value):
        items = value if isinstance(value, tuple) else (value,)
        if not items:
            raise ValueError("expected one value at least")
        is_text = isinstance(items[0], str)
        if not is_text and not least <= min(items) <= max(items) <= most:
            raise ValueError(f"expected numbers from {least:,} to {most:,}")

    if isinstance(default, bool):
        flags.DEFINE_boolean(name, default, text, flag_values=values)
    elif allowed:
        flags.DEFINE_enum(name, default, allowed, text, flag_values=values)
    else:
        first = default[0] if isinstance(default, tuple) else default
        _define(values, name, default, text, type(first), rule)
    if place:
        values[name].place = place


def check_places(values: flags.FlagValues) -> None:
    """Refuse what names a file system that a flag can't take.

    Raises:
        UsageError: Naming the flag.
    """
    for name in values:
        flag = values[name]
        if _place(flag) == LOCAL and files_lib.is_remote(flag.value or ""):
            raise UsageError(
                f"Expected a path of this machine or of a mount as --{name}, received "
                f"{flag.value}. Copy it here, or mount it."
            )


def naming(values: flags.FlagValues, path: str) -> str:
    """Return the flag that names a path or what holds it; empty where none does."""
    path, best, found = os.path.abspath(path), "", ""
    for name in filter(lambda name: _place(values[name]), values):
        for part in (values[name].value or "").split(","):
            folder = os.path.abspath(part)
            is_in = part and os.path.join(path, "").startswith(os.path.join(folder, ""))
            if is_in and len(folder) > len(best):
                best, found = folder, f"--{name}"
    return found


def _place(flag: flags.Flag) -> str:
    return getattr(flag, "place", "")


def add_seed(values: flags.FlagValues, text: str) -> None:
    """Define the flag --seed of a program that has no config with one."""
    add(values, "seed", 1, text, most=settings.LARGEST_SEED)


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


def build(values: flags.FlagValues, config: type, **fixed):
    """Make a config from the parsed flags and from what is given in their place.

    A flag that isn't given takes its value from the presets that are.
    """
    fields = list(filter(is_flag, attrs.fields(config)))
    chosen = {field.name: values[field.name].value for field in fields}
    for field in fields:
        preset = field.metadata.get("presets", {}).get(chosen[field.name], {})
        chosen |= {n: v for n, v in preset.items() if not values[n].present}
    try:
        return config(**(chosen | fixed))
    except (ValueError, TypeError) as error:
        raise UsageError(f"Flag refused: {error.args[0]}") from error


def require(values: flags.FlagValues, *names: str) -> None:
    """Raise a `UsageError` for the first of the flags that was not given."""
    for name in names:
        if not values[name].value:
            raise UsageError(
                f"--{name} is required: {values[name].help} See --help for the rest."
            )


def to_flagfile(values: flags.FlagValues, without: Sequence[str] = ()) -> str:
    """Return the values of the flags, all but some, as the text of a flagfile."""
    kept = [values[name] for name in sorted(values) if name not in without]
    lines = [flag.serialize() for flag in kept if flag.value not in (None, "")]
    return "".join(f"{line}\n" for line in lines if line)

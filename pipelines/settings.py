"""What a setting is made of: default, rules and help, in one field.

All configs, of the data and of the model side, declare their settings by it; programs
make flags, `--help` and tables from the fields.
"""

from collections.abc import Iterable

import attrs
from attrs import validators

# Of counts, sizes and weights: many become int32 on their way.
LARGEST = 2**31 - 1
# What NumPy's, scikit-learn's and Keras' generators take.
LARGEST_SEED = 2**32 - 1


def between(least: float, most: float):
    """Return the rule of a number between two, both allowed; NaN isn't."""
    return validators.and_(validators.ge(least), validators.le(most))


def above(least: float, most: float):
    """Return the rule of a number between two, of which only the upper is allowed."""
    return validators.and_(validators.gt(least), validators.le(most))


def as_tuple(values: Iterable) -> tuple:
    """Convert what a field is given, as lists of JSON."""
    return tuple(values)


positive = between(1, LARGEST)
not_negative = between(0, LARGEST)
above_zero = above(0.0, LARGEST)
fraction = between(0.0, 1.0)
_all_positive = validators.deep_iterable(positive)


def setting(default, text, *rules, may_change=False, presets=None, **kwargs):
    """Make a field that holds its default, its rules and its help.

    `may_change` says that a resumed run may have another value: the mathematics
    don't depend on it. `presets` maps its values to what each sets of other fields.
    """
    validator = None if not rules else rules[0] if len(rules) == 1 else [*rules]
    metadata = {"help": text, "may_change": may_change, "presets": presets or {}}
    return attrs.field(
        default=default, validator=validator, metadata=metadata, **kwargs
    )


def choice(default, text, table, **kwargs):
    """Make a field whose allowed values, and what they are, stand in a table.

    Args:
        default: One of the names.
        text: Its help, which the table's is added to.
        table: Name to its text, or to what has it as `text`.
        **kwargs: See `setting`.
    """
    names = "; ".join(f"{n}: {getattr(row, 'text', row)}" for n, row in table.items())
    rule = validators.in_(tuple(table))
    return setting(default, f"{text} {names}.", rule, **kwargs)


def preset(default, text, table):
    """Make a field of names, each of which sets other fields.

    Args:
        default: One of the names.
        text: Its help, which the table's is added to.
        table: Name to what has its `text` and, by name, the `settings` it stands for.
    """
    presets = {name: row.settings for name, row in table.items()}
    return choice(default, text, table, presets=presets)


def check_presets(config: attrs.AttrsInstance) -> None:
    """Raise a `ValueError` where a config isn't as one of its presets says."""
    for field in attrs.fields(type(config)):
        chosen = getattr(config, field.name)
        for name, value in field.metadata.get("presets", {}).get(chosen, {}).items():
            if (received := getattr(config, name)) != value:
                raise ValueError(
                    f"'{field.name}' {chosen} sets '{name}' to {value}, received "
                    f"{received}; leave one of the two out."
                )


def sizes(default, text, may_change=False):
    """Make a field of numbers that are at least 1."""
    return setting(
        default, text, _all_positive, may_change=may_change, converter=as_tuple
    )


def seed():
    """Make the field of the seed."""
    return setting(1, "Seed of everything random.", between(0, LARGEST_SEED))


def later_seed(seed: int, number: int) -> int:
    """Return the seed that comes so many places after; 0 follows the last."""
    return (seed + number) % (LARGEST_SEED + 1)


def flagfile(*configs: attrs.AttrsInstance, **more: str) -> str:
    """Return configs, and flags beside them, as the text of a flagfile."""
    values: dict[str, object] = dict(more)
    for config in configs:
        names = (f.name for f in attrs.fields(type(config)) if "help" in f.metadata)
        values |= {name: getattr(config, name) for name in names}
    lines = [_flag(name, values[name]) for name in sorted(values)]
    return "".join(f"{line}\n" for line in lines if line)


def _flag(name: str, value: object) -> str:
    """Return a setting as a flag; nothing of an empty one."""
    if isinstance(value, bool):
        return f"--{name}" if value else f"--no{name}"
    if isinstance(value, tuple):
        value = ",".join(map(str, value))
        return f"--{name}={value}"
    return "" if value == "" else f"--{name}={value}"

"""What a setting is made of: default, rules and help, in one field.

All configs, of the data and of the model side, declare their settings by it; programs
make flags, `--help` and tables from the fields.
"""

import attrs
from attrs import validators

positive = validators.ge(1)
not_negative = validators.ge(0)
_all_positive = validators.deep_iterable(validators.ge(1))


def setting(default, text, *rules, may_change=False, **kwargs):
    """Make a field that holds its default, its rules and its help.

    `may_change` says that a resumed run may have another value: the mathematics
    don't depend on it.
    """
    validator = None if not rules else rules[0] if len(rules) == 1 else [*rules]
    metadata = {"help": text, "may_change": may_change}
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


def sizes(default, text, may_change=False):
    """Make a field of numbers that are at least 1."""
    return setting(default, text, _all_positive, may_change=may_change, converter=tuple)

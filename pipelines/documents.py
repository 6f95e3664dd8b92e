"""JSON files that others may have damaged or made: read within limits, typed.

`read` gives plain values and `build` makes an attrs class of them, whose fields' types
say what each value must be. Whatever is wrong is a `ValueError` that says where.
"""

import json
import types
import typing

import attrs

from pipelines import files, trust

# Many times what a data set of a million images needs.
_MAX_BYTES = 1 << 26


def read(path: str) -> object:
    """Read a JSON file.

    Raises:
        OSError: It can't be read, or is no regular file; of a remote path, TensorFlow's
            `OpError`.
        ValueError: It is no JSON, or far too large.
    """
    if files.is_remote(path):
        from tensorflow.io import gfile

        opened = gfile.GFile(path, "rb")
    else:
        opened = trust.open_regular(path)
    with opened as file:
        data = file.read(_MAX_BYTES + 1)
    if len(data) > _MAX_BYTES:
        raise ValueError(f"more than {_MAX_BYTES:,} bytes")
    return parse(data)


def parse(data: bytes | str) -> object:
    """Return what JSON says.

    Raises:
        ValueError: It is no JSON.
    """
    try:
        return json.loads(data, parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError("nested too deep") from error


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number of JSON")


def build(kind, value: object, where: str = "it"):
    """Make a value of a type, attrs classes with all they hold among them.

    Args:
        kind: The type: an attrs class, `str`, `int`, `float`, `bool`, `dict`, or
            tuples, dicts and unions of these.
        value: As JSON gives it.
        where: What the value is, for messages.

    Raises:
        ValueError: It is of another type, or lacks a field, has an unknown one, or one
            that the class refuses.
    """
    arguments = typing.get_args(kind)
    origin = typing.get_origin(kind) or kind
    if origin in (typing.Union, types.UnionType):
        return _build_union(arguments, value, where)
    if attrs.has(kind):
        return _build_class(kind, value, where)
    if origin is tuple:
        _check(isinstance(value, list | tuple), "a list", value, where)
        if arguments[1:] == (Ellipsis,):
            arguments = arguments[:1] * len(value)
        _check(len(value) == len(arguments), f"{len(arguments)} values", value, where)
        pairs = zip(arguments, value, strict=True)
        return tuple(build(k, v, f"{where}[{i}]") for i, (k, v) in enumerate(pairs))
    if origin is dict:
        _check(isinstance(value, dict), "an object", value, where)
        inner = arguments[1] if arguments else object
        return {name: build(inner, v, f"{where}.{name}") for name, v in value.items()}
    if kind is float:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        _check(is_number, "a number", value, where)
        return value
    fits = isinstance(value, origin) and (
        kind is not int or not isinstance(value, bool)
    )
    _check(fits, f"a value of type {kind.__name__}", value, where)
    return value


def _build_union(kinds: tuple, value: object, where: str):
    for kind in kinds:
        try:
            return build(kind, value, where)
        except ValueError as error:
            last = error
    raise last


def _build_class(kind: type, value: object, where: str):
    _check(isinstance(value, dict), "an object", value, where)
    fields = attrs.fields_dict(kind)
    required = {n for n, field in fields.items() if field.default is attrs.NOTHING}
    missing, unknown = required - value.keys(), value.keys() - fields.keys()
    if missing or unknown:
        what = "lacks" if missing else "has the unknown"
        raise ValueError(f"{where} {what} {min(missing or unknown)!r}")
    built = {n: build(fields[n].type, v, f"{where}.{n}") for n, v in value.items()}
    try:
        return kind(**built)
    except (TypeError, ValueError) as error:
        # Validators of attrs give their text first.
        raise ValueError(f"{where}: {error.args[0] if error.args else ''}") from error


def _check(fits: bool, expected: str, value: object, where: str) -> None:
    if not fits:
        shown = repr(value)
        shown = f"{shown[:60]}..." if len(shown) > 60 else shown
        raise ValueError(f"{where} should be {expected}, is {shown}")

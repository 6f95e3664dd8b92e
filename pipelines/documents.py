"""JSON files that others may have damaged or made: read within limits, typed.

`read` gives plain values and `build` makes an attrs class of them, whose fields' types
say what each value must be. Whatever is wrong is a `ValueError` that says where; `load`
does both, and makes a sentence of it.
"""

import collections
import json
import math
import types
import typing
from collections.abc import Callable

import attrs

from pipelines import files, trust

# Many times what a data set of a million images needs.
_MAX_BYTES = 1 << 26


def load(
    path: str,
    kind,
    what: str,
    remedy: str,
    finite: bool = True,
    change: Callable[[dict], object] | None = None,
):
    """Read a JSON file as a value of a type.

    Args:
        path: The file.
        kind: As in `build`.
        what: What the file holds, for the error's sentence.
        remedy: What to do where it can't be read.
        finite: As in `read`.
        change: Makes of the file's object what has that type, as of those of earlier
            versions; may raise ValueError.

    Raises:
        UserError: It can't be read, or is of another type.
    """
    try:
        value = read(path, finite)
        return build(kind, change(build(dict, value)) if change else value)
    except (OSError, ValueError) as error:
        raise files.UserError(
            f"Expected {what} in {path}, it can't be read ({error}). {remedy}"
        ) from error


def read(path: str, finite: bool = True) -> object:
    """Read a JSON file.

    Args:
        path: The file.
        finite: Refuse numbers that aren't; figures may be NaN.

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
    return parse(data, finite)


def parse(data: bytes | str, finite: bool = True) -> object:
    """Return what JSON says.

    Args:
        data: The text.
        finite: As in `read`.

    Raises:
        ValueError: It is no JSON, or gives a name twice.
    """
    number = _finite if finite else float
    try:
        return json.loads(
            data, object_pairs_hook=_object, parse_constant=number, parse_float=number
        )
    except RecursionError as error:
        raise ValueError("nested too deep") from error


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is no finite number")
    return value


def _object(pairs: list[tuple[str, object]]) -> dict:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = collections.Counter(name for name, _ in pairs)
        raise ValueError(f"{names.most_common(1)[0][0]!r} stands there twice")
    return values


def build(kind, value: typing.Any, where: str = "it"):
    """Make a value of a type, attrs classes with all they hold among them.

    Args:
        kind: The type: an attrs class, `str`, `int`, `float`, `bool`, `dict`, `None`,
            a `TypedDict`, which may hold more, or tuples, lists, dicts and unions of
            these.
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
    if kind is type(None):
        _check(value is None, "null", value, where)
        return None
    if attrs.has(kind):
        return _build_class(kind, value, where)
    if typing.is_typeddict(kind):
        return _build_typed_dict(kind, value, where)
    if origin is list:
        _check(isinstance(value, list | tuple), "a list", value, where)
        return [build(arguments[0], v, f"{where}[{i}]") for i, v in enumerate(value)]
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
        # Of an integer that no float64 reaches, nothing could be computed.
        is_number = isinstance(value, float) or (
            isinstance(value, int)
            and not isinstance(value, bool)
            and abs(value) < 2**1023
        )
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


def _build_typed_dict(kind: type, value: typing.Any, where: str) -> dict:
    _check(isinstance(value, dict), "an object", value, where)
    kinds = typing.get_type_hints(kind)
    if missing := kinds.keys() - value.keys():
        raise ValueError(f"{where} lacks {min(missing)!r}")
    known = {n: build(inner, value[n], f"{where}.{n}") for n, inner in kinds.items()}
    return value | known


def _build_class(kind: type, value: typing.Any, where: str):
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

"""Plain values, as JSON has them, into frozen dataclasses by their type hints, and back.

Whoever wrote a file that is read again, an earlier run or somebody else, every value in it has the type that
its readers rely on, or none of it is taken. `Annotated[str, check]` asks more of a value than its type.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable, Mapping, Sequence, Set
from datetime import date
from functools import cache
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints, is_typeddict

T = TypeVar("T")


class PlainError(ValueError):
    """A value is not what the type hint asks for; the message says where and what was found."""


def to_plain(value: Any) -> Any:
    """A value of frozen dataclasses, ready for JSON. What does not count for equality is left out."""
    if dataclasses.is_dataclass(value):
        return {one.name: to_plain(getattr(value, one.name)) for one in _fields(type(value))}
    if isinstance(value, (tuple, list)):
        return [to_plain(one) for one in value]
    if isinstance(value, Set):
        return sorted(map(to_plain, value))
    if isinstance(value, Mapping):
        return {key: to_plain(one) for key, one in value.items()}
    return value.isoformat() if isinstance(value, date) else value


def from_plain(kind: type[T], data: Any) -> T:
    """The data as a `kind`. Raises PlainError where it is anything else."""
    hint: Any = kind
    try:
        found: T = _reader(hint)(data)
    except RecursionError:
        raise PlainError("it is nested too deeply") from None
    return found


def _fields(kind: Any) -> Sequence[dataclasses.Field[Any]]:
    return [one for one in dataclasses.fields(kind) if one.compare]


Reader = Callable[[Any], Any]
_SCALARS = (str, int, float, bool)
_NUMBERS: Mapping[type, tuple[type, ...]] = {int: (int,), float: (int, float)}


@cache
def _reader(kind: Any) -> Reader:
    """The function that reads one type hint."""
    origin, args = get_origin(kind), get_args(kind)
    if kind is Any:
        return lambda data: data
    if hasattr(kind, "__supertype__"):  # a NewType
        return _reader(kind.__supertype__)
    if origin is Annotated:
        return _checked(*args)
    if origin in (Union, types.UnionType):
        (inner,) = (one for one in args if one is not type(None))
        read = _reader(inner)
        return lambda data: None if data is None else read(data)
    if origin is Literal:
        return _one_of(frozenset(args))
    if origin is not None and issubclass(origin, Mapping):
        return _mapping(*args)
    if origin is not None:
        return _sequence(origin, args[0])
    if is_typeddict(kind):
        return _entries(kind)
    if dataclasses.is_dataclass(kind):
        return _row(kind)
    return _date if kind is date else _scalar(kind)


def _scalar(kind: type) -> Reader:
    accepted = _NUMBERS.get(kind, (kind,))

    def read(data: Any) -> Any:
        if type(data) not in accepted:  # True is no number
            raise _wrong(data, kind.__name__)
        return data

    return read


def _date(data: Any) -> date:
    try:
        return date.fromisoformat(data)
    except (TypeError, ValueError):
        raise _wrong(data, "a date") from None


def _checked(kind: Any, *checks: Callable[[Any], object]) -> Reader:
    inner = _reader(kind)

    def read(data: Any) -> Any:
        found = inner(data)
        if not all(check(found) for check in checks):
            raise _wrong(data, "what belongs there")
        return found

    return read


def _one_of(allowed: frozenset[str]) -> Reader:
    def read(data: Any) -> Any:
        if not isinstance(data, str) or data not in allowed:
            raise _wrong(data, f"one of {', '.join(sorted(allowed))}")
        return data

    return read


def _mapping(key: Any, value: Any) -> Reader:
    read_key, read_value = _reader(key), _reader(value)

    def read(data: Any) -> Any:
        if not isinstance(data, dict):
            raise _wrong(data, "an object")
        return {read_key(name): _at(name, read_value, one) for name, one in data.items()}

    return read


def _sequence(origin: Any, inner: Any) -> Reader:
    read_inner = _reader(inner)

    accepted = set(_NUMBERS.get(inner, (inner,))) if inner in _SCALARS else None

    def read(data: Any) -> Any:
        if not isinstance(data, list):
            raise _wrong(data, "a list")
        if accepted is not None and set(map(type, data)) <= accepted:  # a list may be long
            return origin(data)
        return origin(map(read_inner, data))

    return read


def _entries(kind: Any) -> Reader:
    """Of an object what a TypedDict names; whatever else is in it stays as it is."""
    readers = {name: _reader(hint) for name, hint in get_type_hints(kind, include_extras=True).items()}
    required: frozenset[str] = kind.__required_keys__

    def read(data: Any) -> Any:
        if not isinstance(data, dict):
            raise _wrong(data, "an object")
        _whole(required, data)
        return data | {name: _at(name, of, data[name]) for name, of in readers.items() if name in data}

    return read


def _row(kind: Any) -> Reader:
    hints, fields = get_type_hints(kind, include_extras=True), _fields(kind)
    readers = {one.name: _reader(hints[one.name]) for one in fields}
    missing = dataclasses.MISSING
    required = frozenset(
        one.name for one in fields if one.default is missing and one.default_factory is missing
    )

    def read(data: Any) -> Any:
        if not isinstance(data, dict):
            raise _wrong(data, "an object")
        _whole(required, data)
        if unknown := data.keys() - readers.keys():
            raise PlainError(f"it has {_shown(min(unknown))}, which is not known")
        return kind(**{name: _at(name, readers[name], one) for name, one in data.items()})

    return read


def _whole(required: frozenset[str], data: Mapping[str, Any]) -> None:
    if lacking := required - data.keys():
        raise PlainError(f"it lacks {min(lacking)}")


def _at(name: str, read: Reader, data: Any) -> Any:
    """A value by its name, which an error then says."""
    try:
        return read(data)
    except PlainError as error:
        raise PlainError(f"{_shown(name)[1:-1]}: {error}") from None


def _wrong(data: Any, wanted: str) -> PlainError:
    return PlainError(f"{_shown(data)} is not {wanted}")


def _shown(data: Any) -> str:
    """A value in few characters: no reader has to look at more of it."""
    if isinstance(data, (dict, list)):
        return "an object" if isinstance(data, dict) else "a list"
    return ascii(data if not isinstance(data, str) else data[:60])[:80]

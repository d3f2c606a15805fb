"""Frozen dataclasses that are quick to define: `@dataclass(frozen=True)` with one compilation instead of six.

Before Python 3.13, the standard library compiles each of the six methods of a frozen dataclass on its own;
`wheelmill pick`, which answers at once, spent a fifth of its time on that. Here `__init__` alone is compiled,
and the others go by the names of the fields. To type checkers this is the standard library's own, and
its `fields`, `replace` and `is_dataclass` know these classes. They inherit from one another alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(*, frozen: bool, eq: bool = True) -> Callable[[type], type]:
        """A class decorator; with `eq=False` a value equals itself alone."""
        if not frozen:
            raise TypeError("a dataclass that is not frozen is one of the standard library's")
        return lambda cls: _freeze(cls, eq)


__all__ = ["dataclass"]


def _freeze(cls: type, eq: bool) -> type:
    dataclasses.dataclass(init=False, repr=False, eq=False)(cls)
    fields = dataclasses.fields(cls)
    methods: dict[str, Callable[..., Any]] = {
        "__init__": _init(cls, fields),
        "__repr__": _repr([one.name for one in fields if one.repr]),
        "__setattr__": _assign,
        "__delattr__": _delete,
    }
    if eq:
        methods |= _comparison([one.name for one in fields if one.compare])
    for name, method in methods.items():
        # `__hash__` is None, by Python itself, in a class that has only an `__eq__` of its own.
        if cls.__dict__.get(name) is None:
            setattr(cls, name, method)
    return cls


def _init(cls: type, fields: Sequence[dataclasses.Field[Any]]) -> Callable[..., None]:
    """The constructor: a parameter for each field in order, those that are `kw_only` last."""
    known: dict[str, Any] = {"_set": object.__setattr__, "_none": dataclasses.MISSING}
    positional = ["self"]
    named: list[str] = []
    body: list[str] = []
    for one in fields:
        parameter, value = one.name, one.name
        if one.default is not dataclasses.MISSING:
            known[f"_default_{one.name}"] = one.default
            parameter = f"{one.name}=_default_{one.name}"
        elif one.default_factory is not dataclasses.MISSING:
            known[f"_make_{one.name}"] = one.default_factory
            parameter = f"{one.name}=_none"
            value = f"_make_{one.name}() if {one.name} is _none else {one.name}"
        (named if one.kw_only else positional).append(parameter)
        body.append(f" _set(self, {one.name!r}, {value})\n")
    parameters = ", ".join([*positional, *(["*", *named] if named else [])])
    exec(f"def __init__({parameters}):\n{''.join(body) or ' pass'}", known)
    made: Callable[..., None] = known["__init__"]
    made.__qualname__ = f"{cls.__qualname__}.__init__"  # an error about an argument names it
    return made


def _repr(names: Sequence[str]) -> Callable[[Any], str]:
    def shown(self: Any) -> str:
        return f"{type(self).__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"

    return shown


def _comparison(names: Sequence[str]) -> dict[str, Callable[..., Any]]:
    key: Callable[[Any], Any] = attrgetter(*names) if names else lambda _: ()

    def equal(self: Any, other: object) -> bool:
        return key(self) == key(other) if other.__class__ is self.__class__ else NotImplemented

    def hashed(self: Any) -> int:
        return hash(key(self))

    return {"__eq__": equal, "__hash__": hashed}


def _assign(self: object, name: str, value: object) -> NoReturn:
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _delete(self: object, name: str) -> NoReturn:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")

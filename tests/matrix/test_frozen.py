"""Frozen dataclasses of our own decorator behave as the standard library's do."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
from dataclasses import field
from typing import Any

import pytest
from wheelmill import frozen

ours: Any = frozen.dataclass


def classes(dataclass: Any) -> tuple[type, type, type, type]:
    """The same four classes by either decorator."""

    @dataclass(frozen=True)
    class Row:
        at: int = field(default=0, compare=False, repr=False, kw_only=True)

    @dataclass(frozen=True)
    class Line(Row):
        name: str
        pythons: tuple[str, ...] = ()
        known: dict[str, int] = field(default_factory=dict, hash=False, compare=False)

    @dataclass(frozen=True)
    class Empty:
        pass

    @dataclass(frozen=True, eq=False)
    class Itself:
        name: str

        def __repr__(self) -> str:
            return "itself"

    return Row, Line, Empty, Itself


THEIRS, OURS = classes(dataclasses.dataclass), classes(ours)
CALLS: list[tuple[int, tuple[Any, ...], dict[str, Any]]] = [
    (0, (), {}), (0, (), {"at": 3}), (0, (3,), {}), (1, (), {}), (1, ("a",), {}), (1, ("a",), {"no": 1}),
    (1, ("a", ("3.8",)), {"at": 2}), (1, ("a",), {"known": {"x": 1}}), (1, ("b",), {"at": 7}),
    (1, ("a", (), {}, 4), {}), (2, (), {}), (2, (1,), {}), (3, ("a",), {}),
]  # fmt: skip


def made(kinds: tuple[type, ...], which: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    try:
        return kinds[which](*args, **kwargs)
    except TypeError as error:
        return str(error)


def parameters(value: Any) -> list[tuple[str, Any]]:
    return [(one.name, one.kind) for one in inspect.signature(type(value)).parameters.values()]


@pytest.mark.parametrize("call", CALLS)
def test_a_value_is_made_shown_and_read_alike(call: tuple[int, Any, Any]) -> None:
    mine, their = made(OURS, *call), made(THEIRS, *call)
    assert repr(mine) == repr(their)
    if isinstance(their, str):
        return
    assert vars(mine) == vars(their)
    assert [one.name for one in dataclasses.fields(mine)] == [one.name for one in dataclasses.fields(their)]
    assert dataclasses.asdict(mine) == dataclasses.asdict(their)
    assert parameters(mine) == parameters(their)
    assert copy.deepcopy(mine) == mine or call[0] == 3


def test_equality_and_hash_are_alike() -> None:
    every = [[made(kinds, *call) for call in CALLS] for kinds in (OURS, THEIRS)]
    mine, their = ([one for one in kind if not isinstance(one, str)] for kind in every)
    assert [[one == other for other in mine] for one in mine] == [
        [one == other for other in their] for one in their
    ]
    assert [len({one, other}) for one in mine for other in mine] == [
        len({one, other}) for one in their for other in their
    ]
    assert mine[0] != their[0]
    assert mine[0].__eq__(7) is NotImplemented


def test_nothing_of_a_value_changes() -> None:
    value = OURS[1]("a")
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'name'"):
        value.name = "b"
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'other'"):
        value.other = "b"
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot delete field 'name'"):
        del value.name
    assert dataclasses.replace(value, name="b") == OURS[1]("b")
    assert OURS[1]("a").known is not OURS[1]("a").known


@ours(frozen=True)
class Kept:
    """Pickled by its name, so it stands in the module."""

    name: str
    pythons: tuple[str, ...] = ()


def test_a_value_is_pickled() -> None:
    assert pickle.loads(pickle.dumps(Kept("a", ("3.8",)))) == Kept("a", ("3.8",))


def test_what_is_not_frozen_is_the_standard_librarys() -> None:
    with pytest.raises(TypeError, match="standard library"):
        ours(frozen=False)

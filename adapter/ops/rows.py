"""The operator table (ops.yaml): its model and its reader."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sdk import split_top_level
from signatures import Parameter, SignatureError, load_mapping, nearest, torch_since

_CALL = re.compile(r"(?P<name>[A-Za-z]\w*)\((?P<arguments>.*)\)\Z", re.S)
_ATEN = re.compile(r"[a-z_][a-z0-9_]*(\.[A-Za-z0-9_]+)?\Z")
_FIELDS = frozenset({"call", "host", "sizes", "new", "kernel", "aclnn", "since", "composed_before"})


class TableError(SignatureError):
    """ops.yaml cannot be used; the message names the row and says what to mend."""


@dataclass(frozen=True)
class Call:
    """A call of an aclnn operator: a C++ expression over ATen's arguments for each of its parameters."""

    operator: str
    parameters: tuple[Parameter, ...]
    expressions: tuple[str, ...]


@dataclass(frozen=True)
class Row:
    """One row: an aten overload and what serves it, either `call` or a hand-written `kernel`."""

    aten: str
    call: Call | None = None
    host: Mapping[str, Call] = field(default_factory=dict)  # argument -> the call when it is a host number
    sizes: Mapping[str, str] = field(default_factory=dict)  # output -> its sizes, for an unstructured out=
    new: Mapping[str, str] = field(default_factory=dict)  # output -> how it is made, for a functional form
    kernel: str | None = None
    aclnn: tuple[str, ...] = ()
    since: tuple[int, int] = (0, 0)  # the first torch that has the overload in the form of the row
    composed_before: tuple[int, int] = (0, 0)  # the first that has it as an operator of its own

    @property
    def operators(self) -> tuple[str, ...]:
        """The aclnn operators that the row may call."""
        calls = [call for call in (self.call, *self.host.values()) if call is not None]
        return self.aclnn or tuple(dict.fromkeys(call.operator for call in calls))


def parse(path: Path, signatures: Mapping[str, tuple[Parameter, ...]]) -> tuple[Row, ...]:
    """Read ops.yaml against the aclnn signatures; raises TableError for a row that cannot be generated."""
    rows: list[Row] = []
    for aten, entry in load_mapping(path).items():
        where = f"{path}: {aten}"
        if not isinstance(aten, str) or not _ATEN.match(aten):
            raise TableError(f"{where}: not the name of an aten overload; write it like add.out or relu_")
        rows.append(_row(where, aten, entry, signatures))
    return tuple(rows)


def _row(where: str, aten: str, entry: object, signatures: Mapping[str, tuple[Parameter, ...]]) -> Row:
    if isinstance(entry, str):
        return Row(aten, call=call_of(where, entry, signatures))
    if not isinstance(entry, dict):
        raise TableError(f"{where}: expected `Name(arguments)` or a mapping, found {entry!r}")
    unknown = sorted(set(map(str, entry)) - _FIELDS)
    if unknown:
        known = ", ".join(sorted(_FIELDS))
        raise TableError(
            f"{where}: unknown field {unknown[0]!r}; known: {known}{nearest(unknown[0], _FIELDS)}"
        )
    if ("call" in entry) == ("kernel" in entry):
        raise TableError(f"{where}: give either `call` or `kernel`")
    if "kernel" in entry:
        return _kernel_row(where, aten, entry, signatures)
    host = {name: call_of(where, text, signatures) for name, text in strings_of(where, entry, "host").items()}
    return Row(
        aten,
        call_of(where, entry["call"], signatures),
        host,
        strings_of(where, entry, "sizes"),
        strings_of(where, entry, "new"),
        since=since_of(where, entry),
        composed_before=since_of(where, entry, "composed_before"),
    )


def _kernel_row(
    where: str, aten: str, entry: dict[object, object], signatures: Mapping[str, tuple[Parameter, ...]]
) -> Row:
    extra = sorted(set(map(str, entry)) - {"kernel", "aclnn", "since", "composed_before"})
    if extra:
        raise TableError(f"{where}: a hand-written kernel takes no {extra[0]!r}")
    names = str(entry.get("aclnn", "")).replace(",", " ").split()
    if not names:
        raise TableError(f"{where}: name the aclnn operators that the kernel calls in `aclnn`")
    for name in names:
        signature_of(where, name, signatures)
    return Row(
        aten,
        kernel=str(entry["kernel"]),
        aclnn=tuple(names),
        since=since_of(where, entry),
        composed_before=since_of(where, entry, "composed_before"),
    )


def since_of(where: str, entry: dict[object, object], key: str = "since") -> tuple[int, int]:
    return torch_since(where, entry[key]) if key in entry else (0, 0)


def strings_of(where: str, entry: dict[object, object], key: str) -> dict[str, str]:
    value = entry.get(key, {})
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise TableError(f"{where}: `{key}` must map argument names to expressions, found {value!r}")
    return {str(name): text for name, text in value.items()}


def call_of(where: str, text: object, signatures: Mapping[str, tuple[Parameter, ...]]) -> Call:
    match = _CALL.match(text.strip()) if isinstance(text, str) else None
    if match is None:
        raise TableError(f"{where}: {text!r} is no call; write it like Add(self, other, alpha, out)")
    parameters = signature_of(where, match["name"], signatures)
    expressions = tuple(split_top_level(match["arguments"]))
    if len(expressions) != len(parameters):
        expected = ", ".join(f"{parameter.kind} {parameter.name}" for parameter in parameters)
        raise TableError(
            f"{where}: aclnn{match['name']} takes {len(parameters)} arguments ({expected}), "
            f"{len(expressions)} are given"
        )
    return Call(match["name"], parameters, expressions)


def signature_of(
    where: str, name: str, signatures: Mapping[str, tuple[Parameter, ...]]
) -> tuple[Parameter, ...]:
    if name not in signatures:
        raise TableError(
            f"{where}: aclnn{name} is not in cann/operators; add it there or fix the name"
            f"{nearest(name, signatures)}"
        )
    return signatures[name]

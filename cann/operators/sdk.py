"""What a torch SDK says about its operators: C++ signatures and shape rules, read from its generated headers.

Nothing is imported or compiled: `ATen/ops/<name>_ops.h` has the signature of every overload and
`ATen/ops/<name>_meta.h` the classes with the shape and dtype rules of structured operators. Reading them per
SDK is what lets one table serve every torch version.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from pathlib import Path

from signatures import nearest

_STRUCT = re.compile(
    r"^struct TORCH_API (?P<name>\w+)(?: : public (?P<base>[\w:]+))? \{(?P<body>.*?)^\};", re.S | re.M
)
_CALL = re.compile(r"static (?P<returns>.+?) call\((?P<arguments>.*)\);")
_META = re.compile(r"^ +\S+ meta\((?P<arguments>.*)\);", re.M)

#: A kernel may take plain integers where the schema has symbolic ones; these are the types it takes then.
_CONCRETE = (
    ("c10::SymIntArrayRef", "at::IntArrayRef"),
    ("at::OptionalSymIntArrayRef", "at::OptionalIntArrayRef"),
    ("const c10::SymInt &", "int64_t"),
    ("c10::SymInt", "int64_t"),
)


#: Where an SDK says its version; torch moved the file between 2.7 and 2.9.
_VERSION_HEADERS = ("torch/headeronly/version.h", "torch/csrc/api/include/torch/version.h")


def torch_version(include: Path) -> tuple[int, int] | None:
    """Major and minor version of the SDK with this include folder; None when it does not say."""
    for header in _VERSION_HEADERS:
        path = include / header
        if path.is_file():
            numbers = dict(re.findall(r"#define TORCH_VERSION_(MAJOR|MINOR) (\d+)", path.read_text("utf-8")))
            return int(numbers["MAJOR"]), int(numbers["MINOR"])
    return None


@dataclass(frozen=True)
class Argument:
    """One C++ parameter, e.g. `const at::Tensor &` `self`."""

    type: str
    name: str

    @property
    def is_output(self) -> bool:
        return self.type == "at::Tensor &"

    @property
    def is_tensor(self) -> bool:
        return self.type in ("at::Tensor &", "const at::Tensor &")

    @property
    def is_optional_tensor(self) -> bool:
        return self.type.startswith("const ") and "optional<at::Tensor>" in self.type

    @property
    def is_optional_scalar(self) -> bool:
        return self.type.startswith("const ") and "optional<at::Scalar>" in self.type

    def __str__(self) -> str:
        return f"{self.type} {self.name}"


@dataclass(frozen=True)
class Overload:
    """One overload of an operator as this SDK declares it; `identifier` names its struct in at::_ops."""

    identifier: str
    base: str
    overload: str
    returns: str
    arguments: tuple[Argument, ...]

    @property
    def name(self) -> str:
        return f"{self.base}.{self.overload}" if self.overload else self.base

    @property
    def outputs(self) -> tuple[Argument, ...]:
        """The trailing `Tensor(a!)` arguments of an out= overload."""
        if self.base.endswith("_") or self.returns.startswith("const "):
            return ()
        count = self.returns.count("at::Tensor &")
        tail = self.arguments[len(self.arguments) - count :]
        return tail if count and all(argument.is_output for argument in tail) else ()

    @property
    def inputs(self) -> tuple[Argument, ...]:
        return self.arguments[: len(self.arguments) - len(self.outputs)]


@dataclass(frozen=True)
class Rules:
    """A structured operator's class with its shape and dtype rules."""

    identifier: str  # of the functional overload, e.g. add_Tensor
    arguments: tuple[Argument, ...]
    iterator: bool  # built on TensorIterator, which promotes its inputs to a common dtype

    @property
    def type(self) -> str:
        return f"at::meta::structured_{self.identifier}"


class Sdk:
    """Reads operator headers of one SDK on demand."""

    def __init__(self, include: Path) -> None:
        self.version = torch_version(include)
        self._folder = include / "ATen" / "ops"
        self._overloads: dict[str, dict[str, Overload]] = {}

    @staticmethod
    def header_of(operator: str) -> str:
        """The header's stem: in-place operators live in the header of their functional form."""
        name = operator.split(".")[0]
        return name[:-1] if name.endswith("_") and not name.endswith("__") else name

    def find(self, operator: str) -> Overload | None:
        """The overload named like `add.out`; None when this torch does not have it."""
        return self._read(self.header_of(operator)).get(operator)

    def nearest(self, operator: str) -> str:
        """The end of a message: overloads of this torch whose names look like `operator`, or nothing."""
        stems = {path.name[: -len("_ops.h")] for path in self._folder.glob("*_ops.h")}
        stem = self.header_of(operator)
        alike = [stem] if stem in stems else difflib.get_close_matches(stem, sorted(stems), n=3)
        return nearest(operator, [name for other in alike for name in self._read(other)])

    def by_identifier(self, operator: str, identifier: str) -> Overload | None:
        for overload in self._read(self.header_of(operator)).values():
            if overload.identifier == identifier:
                return overload
        return None

    def inplace(self, overload: Overload) -> Overload | None:
        """The in-place form of an out= overload; None when there is none."""
        if not overload.inputs[0].is_tensor:
            return None
        wanted = [argument.name for argument in overload.inputs]
        types = [_comparable(argument) for argument in overload.inputs[1:]]
        for other in self._read(self.header_of(overload.base)).values():
            same = [argument.name for argument in other.arguments] == wanted and wanted[:1] == ["self"]
            if (
                other.base == f"{overload.base}_"
                and same
                and [_comparable(a) for a in other.arguments[1:]] == types
            ):
                return other
        return None

    def rules(self, overload: Overload) -> Rules | None:
        """The rules of a structured out= overload; None when it is not structured."""
        path = self._folder / f"{self.header_of(overload.base)}_meta.h"
        if not path.is_file():
            return None
        wanted = [_comparable(argument) for argument in overload.inputs]
        for match in _STRUCT.finditer(path.read_text(encoding="utf-8")):
            meta = _META.search(match["body"])
            if meta is None or not match["name"].startswith("structured_"):
                continue
            arguments = _arguments(meta["arguments"])
            if [_comparable(argument) for argument in arguments] == wanted:
                iterator = match["base"] == "TensorIteratorBase"
                return Rules(match["name"][len("structured_") :], arguments, iterator)
        return None

    def _read(self, stem: str) -> dict[str, Overload]:
        if stem not in self._overloads:
            path = self._folder / f"{stem}_ops.h"
            text = path.read_text(encoding="utf-8") if path.is_file() else ""
            found = [_overload(match["name"], match["body"]) for match in _STRUCT.finditer(text)]
            self._overloads[stem] = {overload.name: overload for overload in found}
        return self._overloads[stem]


def split_top_level(text: str) -> list[str]:
    """Split at the commas outside any bracket; strips the parts."""
    parts: list[str] = []
    depth = start = 0
    for position, character in enumerate(text):
        if character in "<([{":
            depth += 1
        elif character in ">)]}":
            depth -= 1
        elif character == "," and depth == 0:
            parts.append(text[start:position].strip())
            start = position + 1
    last = text[start:].strip()
    return [*parts, last] if last else parts


def _overload(identifier: str, body: str) -> Overload:
    call = _CALL.search(body)
    if call is None:
        raise ValueError(
            f"at::_ops::{identifier} has no call(); this torch writes its headers in an unknown way"
        )
    return Overload(
        identifier,
        _constant(body, "name").replace("aten::", ""),
        _constant(body, "overload_name"),
        call["returns"],
        _arguments(call["arguments"]),
    )


def _constant(body: str, name: str) -> str:
    """The value of a string constant; older headers declare it with a macro."""
    match = re.search(rf'\b{name}(?: = |, )"([^"]*)"', body)
    if match is None:
        raise ValueError(f"no constant {name} in an operator's header")
    return match[1]


def _arguments(text: str) -> tuple[Argument, ...]:
    arguments = []
    for part in split_top_level(text):
        type_, name = part.rsplit(" ", 1)
        for symbolic, concrete in _CONCRETE:
            type_ = type_.replace(symbolic, concrete)
        arguments.append(Argument(type_, name))
    return tuple(arguments)


def _comparable(argument: Argument) -> tuple[str, str]:
    """Rules take optional tensors and scalars in other types than kernels do."""
    if argument.is_optional_tensor or argument.type == "at::OptionalTensorRef":
        return ("optional tensor", argument.name)
    if argument.is_optional_scalar or argument.type == "at::OptionalScalarRef":
        return ("optional scalar", argument.name)
    return (argument.type, argument.name)

"""The tables of the aclnn operators (TOPIC.yaml here): how they are read, and their signatures.

The adapter's generator and the simulator's generator both import this module. It needs PyYAML and nothing
else, and runs on the Python that builds the native code (3.8 or later).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

#: kind -> C type of the argument in aclnn<Name>GetWorkspaceSize.
C_TYPES = {
    "tensor": "const aclTensor*",
    "tensors": "const aclTensorList*",
    "outs": "const aclTensorList*",
    "inouts": "const aclTensorList*",
    "out": "aclTensor*",
    "inout": "aclTensor*",
    "scalar": "const aclScalar*",
    "scalars": "const aclScalarList*",
    "ints": "const aclIntArray*",
    "floats": "const aclFloatArray*",
    "bools": "const aclBoolArray*",
    "int8": "int8_t",
    "int32": "int32_t",
    "int64": "int64_t",
    "uint64": "uint64_t",
    "bool": "bool",
    "float": "float",
    "double": "double",
    "dtype": "aclDataType",
    "str": "const char*",
    "group": "const char*",
}

#: Kinds that may be null when marked with `?`.
NULLABLE = frozenset(kind for kind, c_type in C_TYPES.items() if c_type.endswith("*"))

_NAME = re.compile(r"[A-Z][A-Za-z0-9]*\Z")
_PARAMETER = re.compile(r"(?P<kind>[a-z0-9]+\??) (?P<name>[a-z][a-z0-9_]*)\Z")


_VERSION = re.compile(r"(\d+)\.(\d+)\Z")

#: Operators whose functions CANN calls acl<Name>; all others are aclnn<Name>.
WITHOUT_NN = frozenset({"Rfft1D", "Stft"})


class SignatureError(Exception):
    """The table cannot be used; the message names the file and the operator, and says what to mend."""


def nearest(word: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown word: the right ones that look like it, or nothing."""
    found = difflib.get_close_matches(word, sorted(known), n=3, cutoff=0.6)
    return f"; did you mean {' or '.join(found)}?" if found else ""


@dataclass(frozen=True)
class Parameter:
    """One argument of an aclnn operator; `kind` may end in `?` (null allowed)."""

    kind: str
    name: str

    @property
    def base(self) -> str:
        """The kind without its `?`."""
        return self.kind.rstrip("?")

    @property
    def optional(self) -> bool:
        return self.kind.endswith("?")

    @property
    def written(self) -> bool:
        """Whether the operator writes through this argument."""
        return self.base in ("out", "inout", "outs", "inouts")

    @property
    def c_type(self) -> str:
        return C_TYPES[self.base]


class _UniqueKeyLoader(yaml.SafeLoader):
    """A loader that refuses what PyYAML silently accepts: the same operator twice."""


def _unique_mapping(loader: _UniqueKeyLoader, node: yaml.MappingNode) -> dict[object, object]:
    seen: dict[object, object] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if key in seen:
            line = key_node.start_mark.line + 1
            raise SignatureError(f"{loader.name}:{line}: {key!r} is given twice; keep one of the entries")
        seen[key] = loader.construct_object(value_node, deep=True)
    return seen


_UniqueKeyLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _unique_mapping)


def load_mapping(path: Path) -> dict[object, object]:
    """Read a YAML file that must be one mapping without duplicate keys; SignatureError says what is wrong."""
    try:
        with path.open(encoding="utf-8") as stream:
            loaded = yaml.load(stream, Loader=_UniqueKeyLoader)
    except OSError as error:
        raise SignatureError(f"{path}: cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise SignatureError(f"{path}: is not valid YAML: {error}") from error
    if not isinstance(loaded, dict):
        raise SignatureError(f"{path}: expected a mapping, found {type(loaded).__name__}")
    return loaded


def load_rows(paths: Iterable[Path]) -> Iterator[tuple[str, str, object]]:
    """Every row of the tables as (where it stands, operator, row), families one by one.

    A family is a row for several operators: `{Name}` in its key is CANN's name of each, `{name}` in its texts
    ATen's, and `for` maps the first to the second. SignatureError for an operator that has two rows.
    """
    seen: dict[str, Path] = {}
    for path in paths:
        for key, entry in load_mapping(path).items():
            for name, row in _family(path, key, entry):
                operator = _operator_name(path, name)
                if operator in seen:
                    raise SignatureError(
                        f"{path}: {operator} has a row in {seen[operator]}, too; keep one of them"
                    )
                seen[operator] = path
                yield f"{path}: {operator}", operator, row


def _family(path: Path, key: object, entry: object) -> Iterator[tuple[object, object]]:
    """The operators of one entry of a table."""
    if not isinstance(entry, dict) or "for" not in entry:
        yield key, entry
        return
    members = entry["for"]
    named = isinstance(members, dict) and all(
        isinstance(name, str) for pair in members.items() for name in pair
    )
    if not named or not members or "{Name}" not in str(key):
        raise SignatureError(
            f"{path}: {key}: `for` maps CANN's names to ATen's, as {{Abs: abs}}, and the key has {{Name}}"
        )
    for theirs, atens in members.items():
        row = {field: _filled(value, theirs, atens) for field, value in entry.items() if field != "for"}
        yield _filled(key, theirs, atens), row


def _filled(value: object, theirs: str, atens: str) -> object:
    if isinstance(value, str):
        return value.replace("{Name}", theirs).replace("{name}", atens)
    if isinstance(value, dict):
        return {key: _filled(item, theirs, atens) for key, item in value.items()}
    return value


def symbol(operator: str) -> str:
    """The C name of an operator's second phase: `aclnnAdd`, `aclStft`."""
    return ("acl" if operator in WITHOUT_NN else "aclnn") + operator


def parse(paths: Iterable[Path]) -> dict[str, tuple[Parameter, ...]]:
    """Operator (without the prefix aclnn) -> its parameters in C order, from `takes` of every row.

    Raises SignatureError for an unknown kind, a malformed or repeated parameter, a `?` on a kind that has no
    null, and an operator that writes nothing.
    """
    signatures = {}
    for where, operator, row in load_rows(paths):
        if not isinstance(row, dict) or "takes" not in row:
            raise SignatureError(f"{where}: no `takes`; write its parameters, such as `tensor self, out out`")
        signatures[operator] = parse_parameters(where, row["takes"])
    return signatures


def torch_since(where: str, text: object) -> tuple[int, int]:
    """The `since` of a row in either table: the first torch, as (major, minor), that the row fits."""
    match = _VERSION.match(text) if isinstance(text, str) else None
    if match is None:
        raise SignatureError(
            f'{where}: since is {text!r}; write the first torch that the row fits in quotes, like "2.1"'
        )
    return int(match[1]), int(match[2])


def _operator_name(path: Path, name: object) -> str:
    if not isinstance(name, str) or not _NAME.match(name) or name.startswith("Aclnn"):
        raise SignatureError(f"{path}: {name!r} is no operator name; write it as in aclnn<Name>, e.g. Add")
    return name


def parse_parameters(where: str, entry: object) -> tuple[Parameter, ...]:
    """Read the parameters of one operator; `where` begins the message of a SignatureError."""
    if not isinstance(entry, str):
        raise SignatureError(f"{where}: expected parameters like `tensor self, out out`, found {entry!r}")
    parameters: list[Parameter] = []
    for text in entry.split(","):
        parameter = _parameter(where, text.strip())
        if any(parameter.name == other.name for other in parameters):
            raise SignatureError(f"{where}: parameter {parameter.name!r} is given twice")
        parameters.append(parameter)
    if not any(parameter.written for parameter in parameters):
        raise SignatureError(f"{where}: nothing is written; mark the result `out` or `inout`")
    return tuple(parameters)


def _parameter(where: str, text: str) -> Parameter:
    match = _PARAMETER.match(text)
    if match is None:
        raise SignatureError(f"{where}: {text!r} is no parameter; write `<kind> <name>`, e.g. `tensor self`")
    parameter = Parameter(match["kind"], match["name"])
    if parameter.base not in C_TYPES:
        raise SignatureError(
            f"{where}: unknown kind {parameter.kind!r} of {parameter.name!r}; "
            f"known: {', '.join(C_TYPES)}{nearest(parameter.base, C_TYPES)}"
        )
    if parameter.optional and parameter.base not in NULLABLE:
        raise SignatureError(f"{where}: {parameter.kind!r} of {parameter.name!r}: only pointers can be null")
    return parameter

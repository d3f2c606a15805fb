"""Generate the C entry points of libopapi from the tables of the operators (tables.py).

An operator without a row gets no symbol, as in a CANN that lacks it. The same happens to a row that starts
with a later torch (`since`), and the generator names it. Any other row whose ATen call the torch at hand does
not have ends the run with one message and exit code 1.
"""

from __future__ import annotations

import argparse
import re
import sys
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tables import (
    Kernel,
    KernelTableError,
    SignatureError,
    nearest,
    read_tables,
    symbol,
    table_paths,
    torch_version,
)

#: base kind -> Kind of arguments.h
KINDS = {
    "tensor": "kTensor",
    "out": "kTensor",
    "inout": "kTensor",
    "tensors": "kTensors",
    "outs": "kTensors",
    "inouts": "kTensors",
    "scalar": "kScalar",
    "scalars": "kScalars",
    "ints": "kInts",
    "floats": "kFloats",
    "bools": "kBools",
    "dtype": "kDtype",
    "str": "kString",
    "group": "kGroup",
    "int8": "kInteger",
    "int32": "kInteger",
    "int64": "kInteger",
    "uint64": "kInteger",
    "bool": "kBoolean",
    "float": "kReal",
    "double": "kReal",
}

_LIST = "std::vector<at::Tensor>& {n} = f.tensors({i});"
_INTEGER = "const int64_t {n} = f.integer({i});"
_REAL = "const double {n} = f.real({i});"

#: kind -> how a kernel sees the argument. {i}: its position.
LOCAL = {
    "tensor": "const at::Tensor& {n} = f.tensor({i});",
    "tensor?": "const c10::optional<at::Tensor> {n} = f.optional_tensor({i});",
    "tensors": "const " + _LIST,
    "tensors?": "const " + _LIST,
    "out": "at::Tensor& {n} = f.tensor({i});",
    "out?": "at::Tensor& {n} = f.tensor({i});",
    "outs": _LIST,
    "outs?": _LIST,
    "inout": "at::Tensor& {n} = f.tensor({i});",
    "inout?": "const c10::optional<at::Tensor> {n} = f.optional_tensor({i});",
    "inouts": _LIST,
    "inouts?": _LIST,
    "scalar": "const at::Scalar& {n} = f.scalar({i});",
    "scalar?": "const c10::optional<at::Scalar> {n} = f.optional_scalar({i});",
    "scalars": "const std::vector<at::Scalar>& {n} = f.scalars({i});",
    "ints": "const at::IntArrayRef {n} = f.ints({i});",
    "ints?": "const OptionalInts {n} = f.optional_ints({i});",
    "bools": "const std::vector<bool>& {n} = f.bools({i});",
    "int8": _INTEGER,
    "int32": _INTEGER,
    "int64": _INTEGER,
    "uint64": _INTEGER,
    "bool": "const bool {n} = f.boolean({i});",
    "float": _REAL,
    "double": _REAL,
    "dtype": "const at::ScalarType {n} = f.dtype({i});",
    "str": "const std::string {n} = f.string({i});",
    "str?": "const std::string {n} = f.string({i});",
    "group": "const Ranks {n} = f.ranks({i});",
}


#: Ends of the headers of ATen/ops that declare no function of at::.
_GENERATED = ("_ops", "_native", "_meta", "_dispatch")


class Headers:
    """The declarations of the torch at hand: ATen/ops, one header per operator."""

    def __init__(self, ops: Path) -> None:
        self._names = frozenset(path.stem for path in ops.glob("*.h"))

    def find(self, name: str, suffix: str = "") -> str | None:
        """The header of at::name, or None: at::add, at::add_ and at::add_out are all in ATen/ops/add.h."""
        candidates = (name + suffix, re.sub(r"_(out)?\Z", "", name) + suffix)
        return next((candidate for candidate in candidates if candidate in self._names), None)

    def nearest(self, name: str) -> str:
        """The end of a message: functions that look like at::name, or nothing."""
        suffix = re.search(r"(_out|_)?\Z", name)[0]  # type: ignore[index]
        functions = (header for header in self._names if not header.endswith(_GENERATED))
        return nearest(name, (header + suffix for header in functions))


@dataclass(frozen=True)
class Source:
    """What a row became: the functions of one operator and the headers that they need."""

    kernel: Kernel
    lines: tuple[str, ...]
    headers: frozenset[str]
    checked: bool


def _calls(text: str) -> list[tuple[str, str]]:
    """The functions of ATen that are called: ("meta::" or "", name)."""
    return re.findall(r"\bat::(meta::)?(\w+)\(", text)


def _mentions(text: str, name: str) -> bool:
    return re.search(rf"(?<![\w.:]){name}\b", text) is not None


def _locals(kernel: Kernel, text: str) -> list[str]:
    lines = []
    for index, parameter in enumerate(kernel.parameters):
        if not _mentions(text, parameter.name):
            continue
        sized = parameter.name in kernel.sized
        local = "const SizedOutput {n}(f, {i});" if sized else LOCAL[parameter.kind]
        lines.append("  " + local.format(n=parameter.name, i=index))
    return lines


def _function(kernel: Kernel, suffix: str, text: str, calls: Sequence[str]) -> list[str]:
    body = [f"  {call};" for call in calls]
    return [f"void {kernel.name}_{suffix}(Frame& f) {{", *_locals(kernel, text), *body, "}"]


def _check(kernel: Kernel, headers: Headers) -> list[str]:
    """The function that checks shapes; nothing when the row asks for none, or this torch has none to call."""
    if kernel.check is False or kernel.sized:
        return []
    # An optional output that was not asked for is an undefined tensor; expect_shape passes it over.
    calls = [f'expect_shape("{name}", {name}, {shape})' for name, shape in kernel.shapes.items()]
    if isinstance(kernel.check, str):
        named = _calls(kernel.check)
        _require(kernel, headers, [name for _, name in named])
        if any(headers.find(name, "_meta_dispatch") is None for meta, name in named if meta):
            return []
        calls.insert(0, kernel.check)
    if calls:
        return _function(kernel, "check", " ".join([*kernel.shapes, *calls]), calls)
    # Not through the dispatcher: in a Python process torch has put functions written in Python there.
    match = re.match(r"at::(\w+)\(", kernel.aten)
    if match is None or headers.find(match[1], "_meta_dispatch") is None:
        return []
    return _function(kernel, "check", kernel.aten, ["at::meta::" + kernel.aten[len("at::") :]])


def _entry_points(kernel: Kernel) -> list[str]:
    declared = [f"{parameter.c_type} {parameter.name}" for parameter in kernel.parameters]
    given = ", ".join(parameter.name for parameter in kernel.parameters)
    return [
        f"SIMULATOR_EXPORT aclnnStatus {symbol(kernel.name)}GetWorkspaceSize("
        f"{', '.join(declared)}, uint64_t* workspaceSize, aclOpExecutor** executor) {{",
        f"  const Given given[] = {{{given}}};",
        f"  return prepare({kernel.name}_operator, given, workspaceSize, executor);",
        "}",
        f"SIMULATOR_EXPORT aclnnStatus {symbol(kernel.name)}(void* workspace, uint64_t workspaceSize, "
        "aclOpExecutor* executor, aclrtStream stream) {",
        f"  return launch({kernel.name}_operator, workspace, workspaceSize, executor, stream);",
        "}",
    ]


def _parameter(kernel: Kernel) -> list[str]:
    lines = []
    for parameter in kernel.parameters:
        flags = ", ".join("true" if flag else "false" for flag in (parameter.optional, parameter.written))
        lines.append(f'    {{"{parameter.name}", Kind::{KINDS[parameter.base]}, {flags}}},')
    return [f"const Parameter {kernel.name}_parameters[] = {{", *lines, "};"]


def source_of(kernel: Kernel, headers: Headers) -> Source:
    """The functions of one operator."""
    _require(kernel, headers, [name for _, name in _calls(f"{kernel.aten} {kernel.trial or ''}")])
    run = _function(kernel, "run", kernel.aten, [kernel.aten])
    check = _check(kernel, headers)
    trial = [] if kernel.trial is None else _function(kernel, "trial", kernel.trial, [kernel.trial])
    calls = _calls("\n".join([*run, *check, *trial]))
    needed = {headers.find(name, "_meta_dispatch" if meta else "") for meta, name in calls}
    lines = [
        "namespace {",
        *run,
        *check,
        *trial,
        *_parameter(kernel),
        f'const Operator {kernel.name}_operator = {{"{symbol(kernel.name)}", {kernel.name}_parameters, '
        f"{len(kernel.parameters)}, {kernel.workspace}, {kernel.name}_run, "
        f"{kernel.name + '_check' if check else 'nullptr'}, {kernel.name}_{'trial' if trial else 'run'}}};",
        "}  // namespace",
        *_entry_points(kernel),
    ]
    checked = bool(check) or kernel.check is False or bool(kernel.sized)
    return Source(kernel, (*lines, ""), frozenset(header for header in needed if header), checked)


def _require(kernel: Kernel, headers: Headers, names: Sequence[str]) -> None:
    """KernelTableError for a function that this torch does not have."""
    for name in names:
        if headers.find(name) is None:
            raise KernelTableError(
                f"{kernel.name}: this torch has no at::{name}{headers.nearest(name) or '.'} Fix the name; "
                'if a later torch has it, say so: since: "X.Y"'
            )


def render(sources: Sequence[Source]) -> str:
    """One C++ source with the entry points of these operators."""
    headers = sorted(frozenset().union(*(source.headers for source in sources)))
    lines = [
        "// Generated from cann/operators by simulator/aclnn/generate.py; do not edit.",
        '#include "kernels.h"',
        '#include "operator.h"',
        *(f"#include <ATen/ops/{name}.h>" for name in headers),
        "",
        '#define SIMULATOR_EXPORT extern "C" __attribute__((visibility("default")))',
        "",
        "using namespace cann_simulator;",
        "",
    ]
    for source in sources:
        lines += source.lines
    return "\n".join(lines)


def _share(source: Source, outputs: int) -> int:
    """Which output an operator goes to: by its name alone, so that a new row changes one of them."""
    return zlib.crc32(source.kernel.name.encode()) % outputs


def _write(path: Path, text: str) -> None:
    """Only when it differs: what did not change is not compiled again."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Generate the entry points of libopapi.")
    parser.add_argument("--tables", type=Path, nargs="+", default=table_paths(), metavar="TABLE")
    parser.add_argument("--torch-include", type=Path, required=True, help="include/ of the torch to serve")
    parser.add_argument(
        "--output",
        type=Path,
        nargs="+",
        required=True,
        help="sources to write; operators are dealt out to them",
    )
    options = parser.parse_args(arguments)
    headers = Headers(options.torch_include / "ATen" / "ops")
    version = torch_version(options.torch_include)
    try:
        kernels = read_tables(options.tables)
        later = [kernel for kernel in kernels if version is not None and version < kernel.since]
        sources = [source_of(kernel, headers) for kernel in kernels if kernel not in later]
    except (KernelTableError, SignatureError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for kernel in later:
        print(f"for a later torch, left out: {symbol(kernel.name)}")
    for source in sources:
        if not source.checked:
            print(f"without a check of shapes: {symbol(source.kernel.name)} (this torch has none to call)")
    for index, output in enumerate(options.output):
        _write(output, render([source for source in sources if _share(source, len(options.output)) == index]))
    return 0


if __name__ == "__main__":
    sys.exit(main())

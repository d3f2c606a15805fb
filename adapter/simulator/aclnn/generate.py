"""Generate the C entry points of libopapi.

Two tables meet here: the signatures that adapter and simulator share (adapter/ops/aclnn.yaml) and the row of
kernels.yaml that says which ATen call serves an operator. An operator without a row gets no symbol, as in a
CANN that lacks it.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
OPS = HERE.parents[1] / "ops"
sys.path.insert(0, str(OPS))

from signatures import Parameter, SignatureError, load_mapping, parse  # noqa: E402

#: base kind -> how phase one stores the argument. {n}: parameter, {o}: whether NULL is allowed.
COLLECT = {
    "tensor": 'a.tensor("{n}", {n}, {o});',
    "out": 'a.tensor("{n}", {n}, {o});',
    "inout": 'a.tensor("{n}", {n}, {o});',
    "tensors": 'a.tensors("{n}", {n});',
    "scalar": 'a.scalar("{n}", {n}, {o});',
    "ints": 'a.ints("{n}", {n}, {o});',
    "bools": 'a.bools("{n}", {n});',
    "dtype": 'a.dtype("{n}", {n});',
    "str": 'a.string("{n}", {n});',
    "int8": "a.integer({n});",
    "int32": "a.integer({n});",
    "int64": "a.integer({n});",
    # Two's complement: a kernel that wants the unsigned value converts it back.
    "uint64": "a.integer(static_cast<int64_t>({n}));",
    "bool": "a.boolean({n});",
    "float": "a.real({n});",
    "double": "a.real({n});",
}

#: kind -> how a kernel sees the argument. {i}: its position.
LOCAL = {
    "tensor": "const at::Tensor& {n} = f.tensor({i});",
    "tensor?": "const c10::optional<at::Tensor> {n} = f.optional_tensor({i});",
    "tensors": "const std::vector<at::Tensor>& {n} = f.tensors({i});",
    "out": "at::Tensor& {n} = f.tensor({i});",
    "out?": "at::Tensor& {n} = f.tensor({i});",
    "inout": "at::Tensor& {n} = f.tensor({i});",
    "inout?": "const c10::optional<at::Tensor> {n} = f.optional_tensor({i});",
    "scalar": "const at::Scalar& {n} = f.scalar({i});",
    "scalar?": "const c10::optional<at::Scalar> {n} = f.optional_scalar({i});",
    "ints": "const at::IntArrayRef {n} = f.ints({i});",
    "ints?": "const at::OptionalIntArrayRef {n} = f.optional_ints({i});",
    "bools": "const std::vector<bool>& {n} = f.bools({i});",
    "int8": "const int64_t {n} = f.integer({i});",
    "int32": "const int64_t {n} = f.integer({i});",
    "int64": "const int64_t {n} = f.integer({i});",
    "uint64": "const int64_t {n} = f.integer({i});",
    "bool": "const bool {n} = f.boolean({i});",
    "float": "const double {n} = f.real({i});",
    "double": "const double {n} = f.real({i});",
    "dtype": "const at::ScalarType {n} = f.dtype({i});",
    "str": "const std::string& {n} = f.string({i});",
}

KEYS = frozenset({"aten", "workspace", "shapes", "check", "sized"})


class KernelTableError(Exception):
    """A row of kernels.yaml cannot be used; the message names it and says what to mend."""


@dataclass(frozen=True)
class Kernel:
    """One operator: its parameters and the ATen call that serves it."""

    name: str
    parameters: tuple[Parameter, ...]
    aten: str
    workspace: int = 0
    check: str | bool = True
    sized: str | None = None
    shapes: dict[str, str] = field(default_factory=dict)


def read_kernels(path: Path, signatures: dict[str, tuple[Parameter, ...]]) -> list[Kernel]:
    """Read kernels.yaml against the signatures; KernelTableError for a row that does not fit them."""
    return [
        _kernel(f"{path}: {name}", str(name), row, signatures) for name, row in load_mapping(path).items()
    ]


def _kernel(where: str, name: str, row: object, signatures: dict[str, tuple[Parameter, ...]]) -> Kernel:
    if isinstance(row, str):
        row = {"aten": row}
    if name not in signatures:
        raise KernelTableError(f"{where}: no such operator in aclnn.yaml; add its signature there first")
    if not isinstance(row, dict) or "aten" not in row or not set(row) <= KEYS:
        raise KernelTableError(f"{where}: expected an ATen call, or a mapping of {', '.join(sorted(KEYS))}")
    kernel = Kernel(name=name, parameters=signatures[name], **row)
    written = {parameter.name for parameter in kernel.parameters if parameter.written}
    for output in [*kernel.shapes, *filter(None, [kernel.sized])]:
        if output not in written:
            raise KernelTableError(
                f"{where}: {output!r} is not written by the operator; it writes {sorted(written)}"
            )
    return kernel


def _mentions(text: str, name: str) -> bool:
    return re.search(rf"(?<![\w.:]){name}\b", text) is not None


def _locals(kernel: Kernel, text: str) -> list[str]:
    lines = []
    for index, parameter in enumerate(kernel.parameters):
        if _mentions(text, parameter.name):
            lines.append("  " + LOCAL[parameter.kind].format(n=parameter.name, i=index))
    return lines


def _function(kernel: Kernel, suffix: str, body: Sequence[str]) -> list[str]:
    return [f"void {kernel.name}_{suffix}(Frame& f) {{", *body, "}"]


def _run(kernel: Kernel) -> list[str]:
    """The kernel proper."""
    body = _locals(kernel, kernel.aten)
    if kernel.sized is not None:
        index = [parameter.name for parameter in kernel.parameters].index(kernel.sized)
        return _function(kernel, "run", [*body, f"  f.store_sized({index}, {kernel.aten});"])
    return _function(kernel, "run", [*body, f"  {kernel.aten};", *_indented(_keeps_shape(kernel))])


def _check(kernel: Kernel) -> tuple[str, list[str]]:
    """The name of the shape check ("nullptr" for none) and its definition."""
    if kernel.check is False or kernel.sized is not None:
        return "nullptr", []
    if kernel.shapes:
        # An optional output that was not asked for is an undefined tensor; expect_shape passes it over.
        text = " ".join([*kernel.shapes, *kernel.shapes.values()])
        calls = [f'expect_shape("{name}", {name}, {shape});' for name, shape in kernel.shapes.items()]
    else:
        # Not through the dispatcher: in a Python process torch has put functions written in Python there.
        text = kernel.check if isinstance(kernel.check, str) else re.sub(r"\Aat::", "at::meta::", kernel.aten)
        calls = [f"{text};", *(_keeps_shape(kernel) if kernel.check is True else [])]
    return f"{kernel.name}_check", _function(kernel, "check", [*_locals(kernel, text), *_indented(calls)])


def _indented(calls: Sequence[str]) -> list[str]:
    return [f"  {call}" for call in calls]


def _keeps_shape(kernel: Kernel) -> list[str]:
    return [
        f'f.require_shape_kept("{parameter.name}", {index});'
        for index, parameter in enumerate(kernel.parameters)
        if parameter.written
    ]


def _entry_points(kernel: Kernel) -> list[str]:
    declared = [f"{parameter.c_type} {parameter.name}" for parameter in kernel.parameters]
    collected = []
    for parameter in kernel.parameters:
        optional = "true" if parameter.optional else "false"
        collected.append("    " + COLLECT[parameter.base].format(n=parameter.name, o=optional))
    operation = f"{kernel.name}_operator"
    return [
        f"SIMULATOR_EXPORT aclnnStatus aclnn{kernel.name}GetWorkspaceSize("
        f"{', '.join(declared)}, uint64_t* workspaceSize, aclOpExecutor** executor) {{",
        f"  return prepare({operation}, workspaceSize, executor, [&](Arguments& a) {{",
        *collected,
        "  });",
        "}",
        f"SIMULATOR_EXPORT aclnnStatus aclnn{kernel.name}(void* workspace, uint64_t workspaceSize, "
        "aclOpExecutor* executor, aclrtStream stream) {",
        f"  return launch({operation}, workspace, workspaceSize, executor, stream);",
        "}",
        "",
    ]


def _operator(kernel: Kernel) -> list[str]:
    check, check_function = _check(kernel)
    names = ", ".join(f'"{parameter.name}"' for parameter in kernel.parameters)
    return [
        "namespace {",
        *_run(kernel),
        *check_function,
        f"const char* const {kernel.name}_arguments[] = {{{names}}};",
        f'const Operator {kernel.name}_operator = {{"aclnn{kernel.name}", {kernel.name}_arguments, '
        f"{kernel.workspace}, {kernel.name}_run, {check}}};",
        "}  // namespace",
        *_entry_points(kernel),
    ]


def _headers(kernels: Sequence[Kernel], ops: Path) -> list[str]:
    """ATen's header of each call: at::add, at::add_ and at::add_out are declared in ATen/ops/add.h."""
    headers = set()
    for kernel in kernels:
        _, check = _check(kernel)
        for meta, name in re.findall(r"\bat::(meta::)?(\w+)\(", "\n".join([*_run(kernel), *check])):
            suffix = "_meta_dispatch" if meta else ""
            candidates = [f"{base}{suffix}" for base in (name, re.sub(r"_(out)?\Z", "", name))]
            found = [candidate for candidate in candidates if (ops / f"{candidate}.h").exists()]
            if not found:
                raise KernelTableError(f"{kernel.name}: this torch has no at::{meta}{name} ({ops})")
            headers.add(found[0])
    return [f"#include <ATen/ops/{name}.h>" for name in sorted(headers)]


def generate(kernels: Sequence[Kernel], ops: Path) -> str:
    """One C++ source with the entry points of these operators."""
    lines = [
        "// Generated from adapter/ops/aclnn.yaml and adapter/simulator/kernels.yaml; do not edit.",
        '#include "kernels.h"',
        '#include "operator.h"',
        *_headers(kernels, ops),
        "",
        '#define SIMULATOR_EXPORT extern "C" __attribute__((visibility("default")))',
        "",
        "using namespace cann_simulator;",
        "",
    ]
    for kernel in kernels:
        lines += _operator(kernel)
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Generate the entry points of libopapi.")
    parser.add_argument("--signatures", type=Path, default=OPS / "aclnn.yaml")
    parser.add_argument("--kernels", type=Path, default=HERE.parent / "kernels.yaml")
    parser.add_argument("--torch-include", type=Path, required=True, help="include/ of the torch to serve")
    parser.add_argument(
        "outputs", type=Path, nargs="+", help="sources to write; the operators are dealt out to them"
    )
    options = parser.parse_args(arguments)
    try:
        kernels = read_kernels(options.kernels, parse(options.signatures))
        for index, output in enumerate(options.outputs):
            share = kernels[index :: len(options.outputs)]
            output.write_text(generate(share, options.torch_include / "ATen" / "ops"), encoding="utf-8")
    except (KernelTableError, SignatureError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""From a row of the operator table to C++ kernels and their registrations.

A structured out= row gives three kernels: the out= form, the functional form and, where there is one, the
in-place form; all run PyTorch's own shape and dtype rules and then the same aclnn call. Other rows give one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rows import Call, Row, TableError
from sdk import Argument, Overload, Rules, Sdk
from signatures import nearest

#: What an expression of the table may name besides the overload's arguments (glue/aten/operands.h, ATen).
HELPERS = frozenset(
    [
        "at",
        "true",
        "false",
        "item",
        "wrap",
        "wrapped",
        "reduced",
        "reduced_sizes",
        "pooled_sizes",
        "repeated_sizes",
        "embedded_sizes",
        "pair",
        "joined",
        "or_ones",
        "sum_dtype",
        "correction_of",
        "flat",
        "division_mode",
        "gelu_name",
        "gelu_mode",
        "to_the_right",
        "search_result",
    ]
)
_IDENTIFIER = re.compile(r"(?<![\w.:])[A-Za-z_]\w*")
_STRING = re.compile(r'"[^"]*"')


@dataclass(frozen=True)
class Unit:
    """What one row gives: C++ definitions and their registrations (aten overload, function)."""

    registrations: tuple[tuple[str, str], ...]
    operators: tuple[str, ...]
    headers: frozenset[str] = frozenset()
    definition: str = ""


def unit_of(row: Row, overload: Overload, sdk: Sdk) -> Unit:
    """The C++ of a row with this SDK; raises TableError when the row does not fit the overload."""
    if row.kernel is not None:
        return Unit(((row.aten, f"&{row.kernel}"),), row.operators)
    _check_names(row, overload)
    rules = sdk.rules(overload) if overload.outputs and not row.sizes else None
    if rules is None:
        return _plain(row, overload)
    forms = [overload, sdk.by_identifier(overload.base, rules.identifier), sdk.inplace(overload)]
    return _structured(row, rules, [form for form in forms if form is not None])


def _check_names(row: Row, overload: Overload) -> None:
    known = {argument.name for argument in overload.arguments} | set(row.new) | HELPERS
    calls = [call for call in (row.call, *row.host.values()) if call is not None]
    texts = [text for call in calls for text in call.expressions]
    for text in [*texts, *row.sizes.values(), *row.new.values()]:
        for name in _IDENTIFIER.findall(_STRING.sub("", text)):
            if name not in known:
                arguments = ", ".join(argument.name for argument in overload.arguments)
                raise TableError(
                    f"{row.aten}: {name!r} in {text!r} is neither an argument ({arguments}) nor a helper"
                    f"{nearest(name, known)}"
                )
    for name in row.host:
        if not any(argument.name == name and argument.is_tensor for argument in overload.inputs):
            raise TableError(f"{row.aten}: `host` names {name!r}, which is no tensor argument")
    _check_outputs(row, overload)


def _check_outputs(row: Row, overload: Overload) -> None:
    """`sizes` is about out= arguments and `new` about results; a word of theirs for nothing is a mistake."""
    outputs = [argument.name for argument in overload.outputs]
    for name in row.sizes:
        if name not in outputs:
            raise TableError(
                f"{row.aten}: `sizes` names {name!r}, and the overload writes "
                f"{', '.join(outputs) or 'no argument of the caller'}{nearest(name, outputs)}"
            )
    if row.new and (outputs or overload.base.endswith("_")):
        raise TableError(f"{row.aten}: `new` makes results, and this overload writes into what it is given")


def _identifier(aten: str) -> str:
    return aten.replace(".", "__")


def _parameters(arguments: Sequence[Argument]) -> str:
    return ", ".join(map(str, arguments))


# ---- the call -------------------------------------------------------------------------------------


def _call(call: Call, tensors: frozenset[str], common: str | None) -> str:
    """The C++ of one aclnn call; the named tensors are brought to the device and to the common dtype."""
    expressions = []
    for parameter, text in zip(call.parameters, call.expressions):
        if parameter.base == "tensor" and text in tensors:
            text = f"*operand({text}, {common or 'at::ScalarType::Undefined'})"
        expressions.append(text)
    return f"aclnn::{call.operator}({', '.join(expressions)});"


def _body(row: Row, inputs: Sequence[Argument], common: str | None) -> list[str]:
    assert row.call is not None
    tensors = frozenset(argument.name for argument in inputs if argument.type == "const at::Tensor &")
    lines = []
    for name, call in row.host.items():
        lines.append(f"  if (is_host_number({name})) {{")
        lines.append(f"    {_call(call, tensors - {name}, common)}")
        lines += ["    return;", "  }"]
    lines.append(f"  {_call(row.call, tensors, common)}")
    return lines


# ---- structured operators -------------------------------------------------------------------------


def _structured(row: Row, rules: Rules, forms: Sequence[Overload]) -> Unit:
    out = forms[0]
    outputs = [Argument("const at::Tensor &", argument.name) for argument in out.outputs]
    lines = [
        f"void {_identifier(out.name)}_run({_parameters([*out.inputs, *outputs])}, at::ScalarType common) {{",
        *_body(row, out.inputs, "common" if rules.iterator else None),
        "}",
        "",
    ]
    for form in forms:
        lines += _structured_form(rules, out, form)
    headers = frozenset({f"ATen/ops/{Sdk.header_of(out.base)}_meta.h"})
    registrations = tuple((form.name, f"&{_identifier(form.name)}") for form in forms)
    return Unit(registrations, row.operators, headers, "\n".join(lines))


def _structured_form(rules: Rules, out: Overload, form: Overload) -> list[str]:
    count = len(out.outputs)
    inputs = ", ".join(argument.name for argument in form.inputs)
    targets = [argument.name for argument in form.outputs]
    result = "kOut" if targets else "kNew"
    if form.base.endswith("_"):
        targets, result = ["self"], "kInplace"
    arguments = ", ".join(argument.name for argument in form.arguments)
    state = ", ".join([f"Result::{result}", f"run_device({arguments})", *targets])
    written = ", ".join(f"rules.output({index})" for index in range(count))
    return [
        f"{form.returns} {_identifier(form.name)}({_parameters(form.arguments)}) {{",
        f"  Structured<{rules.type}, {count}> rules({state});",
        f"  rules.meta({', '.join(_rule_argument(argument) for argument in form.inputs)});",
        f"  if (rules.writes()) {_identifier(out.name)}_run({inputs}, {written}, rules.common());",
        f"  return {_result(form, targets, count)};",
        "}",
        "",
    ]


def _rule_argument(argument: Argument) -> str:
    name = argument.name
    if argument.is_optional_scalar:
        return f"{name}.has_value() ? at::OptionalScalarRef(&*{name}) : at::OptionalScalarRef()"
    if not argument.is_optional_tensor:
        return name
    return (
        f"{name}.has_value() && {name}->defined() ? at::OptionalTensorRef(*{name}) : at::OptionalTensorRef()"
    )


def _result(form: Overload, targets: Sequence[str], count: int) -> str:
    values = list(targets) or [f"rules.take({index})" for index in range(count)]
    if count == 1:
        return values[0]
    return f"{form.returns}({', '.join(values)})"


# ---- other operators ------------------------------------------------------------------------------


def _plain(row: Row, overload: Overload) -> Unit:
    """A kernel for an overload without rules: the row says how its outputs are sized or made."""
    identifier = _identifier(overload.name)
    inputs = overload.inputs
    if overload.base.endswith("_"):
        prepare, result = [], "self"
    elif overload.outputs:
        prepare, result = _resized(row, overload), ", ".join(argument.name for argument in overload.outputs)
    else:
        prepare, result = _made(row, overload), ", ".join(row.new)
    names = ", ".join(argument.name for argument in overload.arguments)
    lines = [
        f"void {identifier}_run({_parameters([*inputs, *_targets(row, overload)])}) {{",
        *_body(row, inputs, None),
        "}",
        "",
        f"{overload.returns} {identifier}({_parameters(overload.arguments)}) {{",
        f"  const DeviceScope scope(run_device({names}));",
        *prepare,
    ]
    first = "self" if overload.base.endswith("_") else result.split(", ", maxsplit=1)[0]
    passed = ", ".join(
        [argument.name for argument in inputs] + [target.name for target in _targets(row, overload)]
    )
    lines += [
        f"  if ({first}.numel() != 0) {identifier}_run({passed});",
        f"  return {result if ', ' not in result else f'{overload.returns}({result})'};",
        "}",
        "",
    ]
    headers = {"ATen/native/Resize.h", "ATen/ops/empty.h", "ATen/ops/empty_like.h", "ATen/ExpandUtils.h"}
    return Unit(((row.aten, f"&{identifier}"),), row.operators, frozenset(headers), "\n".join(lines))


def _targets(row: Row, overload: Overload) -> list[Argument]:
    names = [argument.name for argument in overload.outputs] or list(row.new)
    return [Argument("const at::Tensor &", name) for name in names]


def _resized(row: Row, overload: Overload) -> list[str]:
    lines = []
    for output in overload.outputs:
        if output.name not in row.sizes:
            raise TableError(
                f"{row.aten}: this torch has no shape rules for it; give `sizes` of {output.name!r}"
            )
        lines.append(f"  at::native::resize_output({output.name}, {row.sizes[output.name]});")
    return lines


def _made(row: Row, overload: Overload) -> list[str]:
    if overload.returns.count("at::Tensor") != len(row.new):
        raise TableError(f"{row.aten}: it returns {overload.returns}; say in `new` how each result is made")
    return [f"  at::Tensor {name} = {text};" for name, text in row.new.items()]

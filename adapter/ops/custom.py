"""Operators of their own name (custom.yaml): their model, their reader, and their C++.

A row has the operator's schema as PyTorch writes it, how each result is made, and the aclnn operator that
writes them. From it come the kernel for a device, the same for meta tensors, and what autograd calls.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rows import Call, TableError, call_of, signature_of, since_of, strings_of
from sdk import split_top_level
from signatures import Parameter, load_mapping, nearest

#: What an expression may name besides the operator's arguments and results (glue/custom, glue/aten, ATen).
HELPERS = frozenset(
    [
        "ACL_FLOAT8_E8M0",
        "Dims",
        "ExpertPlace",
        "acl_of",
        "all_reduce_dtype",
        "all_reduce_sizes",
        "at",
        "at_least_one",
        "attention_dtype",
        "attention_sizes",
        "block_sizes",
        "by_vectors",
        "counted_sizes",
        "dispatched_rows",
        "dtype_of",
        "eighth",
        "experts_here",
        "false",
        "first",
        "gelu_mode",
        "gelu_name",
        "given",
        "grouped_mx_sizes",
        "halved",
        "indexed_sizes",
        "is_packed",
        "is_whole",
        "joint_dtype",
        "joint_sizes",
        "last_axis",
        "like",
        "lse_sizes",
        "made",
        "mx_sizes",
        "none",
        "none_given",
        "number_on",
        "op",
        "or_none",
        "or_undefined",
        "permuted_rows",
        "product_or_undefined",
        "quant_sizes",
        "range_or",
        "routed_sizes",
        "row_sizes",
        "rows_of",
        "sections",
        "storage_of",
        "stored",
        "sum_of",
        "true",
        "typed",
        "without_last",
    ]
)
#: Type in a schema -> C++ type of the argument.
TYPES = {
    "Tensor": "const at::Tensor &",
    "Tensor?": "const optional<at::Tensor> &",
    "Tensor[]": "at::TensorList",
    "Tensor[]?": "optional<at::TensorList>",
    "Scalar": "const at::Scalar &",
    "int": "int64_t",
    "int?": "optional<int64_t>",
    "int[]": "at::IntArrayRef",
    "int[]?": "OptionalIntArrayRef",
    "float": "double",
    "float?": "optional<double>",
    "bool": "bool",
    "bool?": "optional<bool>",
    "str": "std::string",
    "str?": "optional<std::string>",
    "ScalarType?": "optional<at::ScalarType>",
}
#: What a check may ask for -> C++ of the dtypes.
DTYPES = {
    "float32": "at::kFloat",
    "float16": "at::kHalf",
    "bfloat16": "at::kBFloat16",
    "int8": "at::kChar",
    "int32": "at::kInt",
    "int64": "at::kLong",
    "bool": "at::kBool",
}
_FIELDS = frozenset(
    ["schema", "check", "refused", "new", "returns", "call", "when", "kernel", "aclnn", "gradient", "since"]
)
_GRADIENT = frozenset(["of", "call", "fixed", "without"])
_NAME = re.compile(r"_?npu_\w+(\.\w+)?\Z")
_SCHEMA = re.compile(r"\((?P<arguments>.*)\) -> (?P<results>.+)\Z", re.S)
_ARGUMENT = re.compile(
    r"(?P<type>Tensor|ScalarType|Scalar|int|float|bool|str)(?:\((?P<alias>[a-z])!\))?"
    r"(?P<list>\[\d*\])?(?P<optional>\?)? (?P<name>\w+)(?:=(?P<default>.+))?\Z",
    re.S,
)
_IDENTIFIER = re.compile(r"(?<![\w.:>])[A-Za-z_]\w*")
_STRING = re.compile(r'"[^"]*"')
_DIMENSIONS = re.compile(r"(\d)-D")


@dataclass(frozen=True)
class Argument:
    """One argument of a schema."""

    type: str  # as in TYPES
    name: str
    alias: str = ""  # the letter of an argument that is written

    @property
    def written(self) -> bool:
        return bool(self.alias)

    @property
    def is_tensor(self) -> bool:
        return self.type in ("Tensor", "Tensor?")

    @property
    def parameter(self) -> str:
        return f"{'at::Tensor &' if self.written else TYPES[self.type]} {self.name}"


@dataclass(frozen=True)
class Gradient:
    """How the gradients of a call are made: a call of another operator, whose results they are."""

    of: tuple[str, ...]
    operator: str
    expressions: tuple[str, ...]
    fixed: tuple[str, ...] = ()  # results that have no gradient
    without: tuple[str, ...] = ()  # optional arguments with which there is no gradient


@dataclass(frozen=True)
class Custom:
    """One row."""

    name: str  # "npu_swiglu", or "npu_apply_adam_w.out"
    schema: str
    arguments: tuple[Argument, ...]
    results: tuple[str, ...]  # "Tensor", "Tensor(a!)" or "Tensor[]" each
    check: tuple[str, ...] = ()  # C++ statements
    new: Mapping[str, str] = field(default_factory=dict)
    returns: tuple[str, ...] = ()
    call: Call | None = None
    when: Mapping[str, Call] = field(default_factory=dict)
    kernel: str | None = None
    aclnn: tuple[str, ...] = ()
    gradient: Gradient | None = None
    since: tuple[int, int] = (0, 0)

    @property
    def identifier(self) -> str:
        return self.name.replace(".", "__")

    @property
    def operators(self) -> tuple[str, ...]:
        """The aclnn operators that the row may call."""
        calls = [call for call in (self.call, *self.when.values()) if call is not None]
        return self.aclnn or tuple(dict.fromkeys(call.operator for call in calls))

    @property
    def result_type(self) -> str:
        """C++ type of what the operator returns."""
        types = [
            {"Tensor": "at::Tensor", "Tensor[]": "std::vector<at::Tensor>"}.get(one, "at::Tensor &")
            for one in self.results
        ]
        if not types:
            return "void"
        return types[0] if len(types) == 1 else f"std::tuple<{', '.join(types)}>"

    @property
    def parameters(self) -> str:
        return ", ".join(argument.parameter for argument in self.arguments)

    @property
    def names(self) -> str:
        return ", ".join(argument.name for argument in self.arguments)


# ---- reading --------------------------------------------------------------------------------------


def parse(path: Path, signatures: Mapping[str, tuple[Parameter, ...]]) -> tuple[Custom, ...]:
    """Read custom.yaml against the aclnn signatures; raises TableError for a row that cannot be generated."""
    rows = [_row(f"{path}: {name}", name, entry, signatures) for name, entry in load_mapping(path).items()]
    by_name = {row.name: row for row in rows}
    for row in rows:
        if row.gradient is not None and row.gradient.operator not in by_name:
            raise TableError(
                f"{path}: {row.name}: its gradient calls {row.gradient.operator!r}, which has no row"
                f"{nearest(row.gradient.operator, by_name)}"
            )
    return tuple(rows)


def _row(where: str, name: object, entry: object, signatures: Mapping[str, tuple[Parameter, ...]]) -> Custom:
    if not isinstance(name, str) or not _NAME.match(name):
        raise TableError(f"{where}: not the name of a custom operator; write it like npu_swiglu")
    if not isinstance(entry, dict):
        raise TableError(f"{where}: expected a mapping, found {entry!r}")
    _known(where, entry, _FIELDS)
    if ("call" in entry) == ("kernel" in entry):
        raise TableError(f"{where}: give either `call` or `kernel`")
    schema = " ".join(str(entry.get("schema", "")).split())
    match = _SCHEMA.match(schema)
    if match is None:
        raise TableError(f"{where}: schema is {schema!r}; write it like (Tensor self, int dim=-1) -> Tensor")
    arguments = tuple(_arguments(where, match["arguments"]))
    results = match["results"].strip()
    listed = split_top_level(results[1:-1]) if results.startswith("(") else [results]
    listed = [one for one in listed if one.strip()]
    row = Custom(
        name,
        f"{name}{schema}",
        arguments,
        tuple(one.strip().split(" ")[0] for one in listed),
        (*_checks(where, entry, arguments), *_refusals(where, entry, arguments)),
        strings_of(where, entry, "new"),
        tuple(str(entry.get("returns", "")).split()),
        call_of(where, entry["call"], signatures) if "call" in entry else None,
        {
            condition: call_of(where, text, signatures)
            for condition, text in strings_of(where, entry, "when").items()
        },
        str(entry["kernel"]) if "kernel" in entry else None,
        tuple(str(entry.get("aclnn", "")).split()),
        _gradient(where, entry),
        since_of(where, entry),
    )
    for operator in row.aclnn:
        signature_of(where, operator, signatures)
    _check_names(where, row)
    return row


def _known(where: str, entry: Mapping[object, object], fields: frozenset[str]) -> None:
    unknown = sorted(set(map(str, entry)) - fields)
    if unknown:
        raise TableError(
            f"{where}: unknown field {unknown[0]!r}; known: {', '.join(sorted(fields))}"
            f"{nearest(unknown[0], fields)}"
        )


def _arguments(where: str, text: str) -> Iterable[Argument]:
    for part in split_top_level(text):
        stripped = part.strip()
        if stripped in ("", "*"):
            continue
        match = _ARGUMENT.match(stripped)
        if match is None:
            raise TableError(f"{where}: {stripped!r} is no argument of a schema; write `Tensor? bias=None`")
        kind = f"{match['type']}{'[]' if match['list'] else ''}{match['optional'] or ''}"
        if kind not in TYPES:
            raise TableError(f"{where}: {match['name']!r} is of type {kind}; known: {', '.join(TYPES)}")
        yield Argument(kind, match["name"], match["alias"] or "")


def _checks(where: str, entry: Mapping[object, object], arguments: Sequence[Argument]) -> Iterable[str]:
    """`tokens: 2-D`, `indices: 1-D or 2-D, int32 or int64`, `gamma: as self`, `mode: "half" or "all"`."""
    names = [argument.name for argument in arguments]
    for name, text in strings_of(where, dict(entry), "check").items():
        if name not in names:
            raise TableError(f"{where}: `check` names {name!r}, which is no argument{nearest(name, names)}")
        for part in text.split(","):
            yield _check(where, name, part.strip(), names)


def _refusals(where: str, entry: Mapping[object, object], arguments: Sequence[Argument]) -> Iterable[str]:
    """`given(mask): a mask`."""
    known = {*(argument.name for argument in arguments), *HELPERS}
    for condition, what in strings_of(where, dict(entry), "refused").items():
        _expect_known(where, [condition], known)
        yield f"refuse(op, {condition}, {_quoted(what)});"


def _check(where: str, name: str, rule: str, names: Sequence[str]) -> str:
    subject = f'op, "{name}", {name}'
    choices = [choice.strip() for choice in rule.split(" or ")]
    if all(_DIMENSIONS.fullmatch(choice) for choice in choices):
        return f"check_dimensions({subject}, {{{', '.join(choice[0] for choice in choices)}}});"
    if rule.startswith("as ") and rule[3:] in names:
        return f'check_same_dtype({subject}, "{rule[3:]}", {rule[3:]});'
    if all(choice in DTYPES for choice in choices):
        return f"check_dtype({subject}, {{{', '.join(DTYPES[choice] for choice in choices)}}});"
    if all(_STRING.fullmatch(choice) for choice in choices):
        return f"check_choice({subject}, {{{', '.join(choices)}}});"
    raise TableError(
        f"{where}: the check of {name!r} is {rule!r}; write `2-D or 3-D`, `int32 or int64` "
        f'({", ".join(DTYPES)}), `as OTHER` or `"half" or "quarter"`'
    )


def _gradient(where: str, entry: Mapping[object, object]) -> Gradient | None:
    if "gradient" not in entry:
        return None
    given = entry["gradient"]
    if not isinstance(given, dict) or not {"of", "call"} <= set(given):
        raise TableError(f"{where}: gradient needs `of` and `call`, found {given!r}")
    _known(f"{where}: gradient", given, _GRADIENT)
    match = re.match(r"(?P<name>\w+)\((?P<arguments>.*)\)\Z", str(given["call"]), re.S)
    if match is None:
        raise TableError(
            f"{where}: gradient: {given['call']!r} is no call; write it like npu_x_backward(grad_y, x)"
        )
    return Gradient(
        tuple(str(given["of"]).split()),
        match["name"],
        tuple(split_top_level(match["arguments"])),
        tuple(str(given.get("fixed", "")).split()),
        tuple(str(given.get("without", "")).split()),
    )


def _check_names(where: str, row: Custom) -> None:
    arguments = [argument.name for argument in row.arguments]
    calls = [call for call in (row.call, *row.when.values()) if call is not None]
    texts = [*row.new.values(), *row.when, *(text for call in calls for text in call.expressions)]
    known = {*arguments, *row.new, *HELPERS}
    _expect_known(where, texts, known)
    for name in row.returns:
        _expect_known(where, [name], {*arguments, *row.new})
    if row.kernel is None and row.results and not _returned(row):
        raise TableError(f"{where}: it returns {len(row.results)} results; make them in `new`")
    if row.gradient is None:
        return
    for name in (*row.gradient.of, *row.gradient.without):
        _expect_known(where, [name], set(arguments))
    _expect_known(where, row.gradient.fixed, set(_results(row)))
    grads = {f"grad_{name}" for name in _results(row)}
    _expect_known(where, row.gradient.expressions, {*arguments, *_results(row), *grads, *HELPERS})


def _expect_known(where: str, texts: Iterable[str], known: set[str]) -> None:
    for text in texts:
        for name in _IDENTIFIER.findall(_STRING.sub("", text)):
            if name not in known:
                raise TableError(
                    f"{where}: {name!r} in {text!r} is neither an argument nor a result nor a helper"
                    f"{nearest(name, known)}"
                )


# ---- C++ ------------------------------------------------------------------------------------------


def _returned(row: Custom) -> list[str]:
    """What the kernel returns, by name; empty where that does not fit the schema."""
    aliases = {argument.alias: argument.name for argument in row.arguments if argument.written}
    if row.returns:
        names = list(row.returns)
    elif all("!" in one for one in row.results):
        names = [aliases.get(one[one.index("(") + 1], "") for one in row.results]
    else:
        names = list(row.new)
    return names if len(names) == len(row.results) and all(names) else []


def _results(row: Custom) -> list[str]:
    """The names of the results, as `gradient` uses them."""
    return list(row.returns or row.new) or [f"result{number}" for number in range(len(row.results))]


def definition(row: Custom) -> str:
    """The kernel: for a device and, where it calls nothing, for meta tensors."""
    lines = [f"{row.result_type} {row.identifier}({row.parameters}) {{"]
    if row.kernel is not None:
        return "\n".join([*lines, f"  return {row.kernel}({row.names});", "}", ""])
    lines.append(f'  constexpr const char* op = "{row.name.partition(".")[0]}";')
    lines += [f"  {check}" for check in row.check]
    lines.append(f"  const Run run(op, {row.names});")
    lines += [f"  at::Tensor {name} = {text};" for name, text in row.new.items()]
    written = [*row.new, *(argument.name for argument in row.arguments if argument.written), *row.returns]
    lines.append(f"  if (run.writes({{{', '.join(dict.fromkeys(written))}}})) {{")
    lines += [f"    {line}" for line in _calls(row)]
    lines.append("  }")
    returned = _returned(row)
    if returned:
        values = ", ".join(returned)
        lines.append(f"  return {values if len(returned) == 1 else f'{row.result_type}({values})'};")
    return "\n".join([*lines, "}", ""])


def _calls(row: Custom) -> list[str]:
    assert row.call is not None
    lines = []
    for condition, call in row.when.items():
        lines.append(f"{'} else ' if lines else ''}if ({condition}) {{")
        lines.append(f"  {_call(call)}")
    if not lines:
        return [_call(row.call)]
    return [*lines, "} else {", f"  {_call(row.call)}", "}"]


def _call(call: Call) -> str:
    return f"aclnn::{call.operator}({', '.join(call.expressions)});"


def redispatch(row: Custom) -> str:
    """A function that calls the operator through the dispatcher."""
    name, _, overload = row.name.partition(".")
    return "\n".join(
        [
            f"{row.result_type} {row.identifier}_call({row.parameters}) {{",
            f"  static const auto op = operator_named<decltype({row.identifier})>"
            f'("npu::{name}", "{overload}");',
            f"  return op.call({row.names});",
            "}",
            "",
        ]
    )


def autograd(row: Custom, gradient_row: Custom) -> str:
    """The operator as a function with a gradient."""
    gradient = row.gradient
    assert gradient is not None
    results = _results(row)
    single = len(results) == 1
    used = _used(row, gradient)
    kept = [argument for argument in row.arguments if argument.name in used]
    tensors = [argument for argument in kept if argument.is_tensor]
    others = [argument for argument in kept if not argument.is_tensor]
    saved = [
        *(f"{a.name}.value_or(at::Tensor())" if a.type == "Tensor?" else a.name for a in tensors),
        *(name for name in results if name in used),
    ]
    saved_names = [*(argument.name for argument in tensors), *(name for name in results if name in used)]
    lines = [
        f"class {row.identifier}_function : public torch::autograd::Function<{row.identifier}_function> {{",
        " public:",
        f"  static variable_list forward(AutogradContext* context, {row.parameters}) {{",
        "    const at::AutoDispatchBelowADInplaceOrView below;",
        f"    const auto {results[0] if single else '[' + ', '.join(results) + ']'} ="
        f" {row.identifier}_call({row.names});",
        f"    context->save_for_backward({{{', '.join(saved)}}});",
        *(f'    context->saved_data["{a.name}"] = keep({a.name});' for a in others),
        *(
            [f"    context->mark_non_differentiable({{{', '.join(gradient.fixed)}}});"]
            if gradient.fixed
            else []
        ),
        f"    return {{{', '.join(results)}}};",
        "  }",
        "",
        "  static variable_list backward(AutogradContext* context, const variable_list& grads) {",
        "    const variable_list saved = context->get_saved_variables();",
    ]
    for number, name in enumerate(saved_names):
        optional = any(a.name == name and a.type == "Tensor?" for a in tensors)
        value = f"as_optional(saved[{number}])" if optional else f"saved[{number}]"
        lines.append(f"    const {'auto' if optional else 'at::Tensor&'} {name} = {value};")
    for argument in others:
        kind = TYPES[argument.type].replace("const ", "").replace(" &", "")
        lines.append(f'    const Kept<{kind}> {argument.name}(context->saved_data["{argument.name}"]);')
    lines += [
        f"    const at::Tensor& grad_{name} = grads[{number}];"
        for number, name in enumerate(results)
        if f"grad_{name}" in used
    ]
    made = [f"made_{number}" for number in range(len(gradient_row.results))]
    lines.append(
        f"    const auto {made[0] if len(made) == 1 else '[' + ', '.join(made) + ']'} ="
        f" {gradient_row.identifier}_call({', '.join(gradient.expressions)});"
    )
    by_name = dict(zip(gradient.of, made))
    lines.append(f"    return {{{', '.join(_returned_gradient(a, by_name) for a in row.arguments)}}};")
    return "\n".join([*lines, "  }", "};", "", *_with_gradient(row, gradient, results)])


def _returned_gradient(argument: Argument, by_name: Mapping[str, str]) -> str:
    made = by_name.get(argument.name)
    if made is None:
        return "at::Tensor()"
    return f"given({argument.name}) ? {made} : at::Tensor()" if argument.type == "Tensor?" else made


def _used(row: Custom, gradient: Gradient) -> set[str]:
    optional = {a.name for a in row.arguments if a.type == "Tensor?" and a.name in gradient.of}
    texts = gradient.expressions
    return {name for text in texts for name in _IDENTIFIER.findall(_STRING.sub("", text))} | optional


def _with_gradient(row: Custom, gradient: Gradient, results: Sequence[str]) -> list[str]:
    lines = [f"{row.result_type} {row.identifier}_with_gradient({row.parameters}) {{"]
    asked = " || ".join(f"needs_gradient({name})" for name in gradient.of)
    lines += [
        f'  refuse("{row.name}", given({name}) && ({asked}), "a gradient with {name}");'
        for name in gradient.without
    ]
    lines.append(f"  const variable_list made = {row.identifier}_function::apply({row.names});")
    values = ", ".join(f"made[{number}]" for number in range(len(results)))
    lines.append(f"  return {values if len(results) == 1 else f'{row.result_type}({values})'};")
    return [*lines, "}", ""]


HEADERS = """\
// A row takes all arguments of its operator, whether it needs them or not.
#pragma GCC diagnostic ignored "-Wunused-parameter"

#include "aclnn_operators.h"
#include "custom/custom.h"
#include "custom/gradients.h"
#include "custom/kernels.h"

#include <torch/library.h>

#include <tuple>

namespace npu {
namespace custom {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;
"""


def family(row: Custom, rows: Iterable[Custom]) -> str:
    """The row that a row goes beside: a gradient stands in the file of the operator that calls it."""
    for other in rows:
        if other.gradient is not None and other.gradient.operator == row.name:
            return other.name
    return row.name


def source(rows: Sequence[Custom]) -> str:
    """One C++ file with these rows: definitions and registrations."""
    by_name = {row.name: row for row in rows}
    with_gradient = [row for row in rows if row.gradient is not None]
    called = {row.name for row in with_gradient} | {
        row.gradient.operator for row in with_gradient if row.gradient
    }
    parts = [HEADERS, *(definition(row) for row in rows)]
    parts += [redispatch(row) for row in rows if row.name in called]
    parts += [autograd(row, by_name[row.gradient.operator]) for row in with_gradient if row.gradient]
    parts.append("TORCH_LIBRARY_FRAGMENT(npu, m) {")
    parts += [f"  m.def({_quoted(row.schema)});" for row in rows]
    for key in ("NPU_KEY", "Meta"):
        parts += ["}", "", f"TORCH_LIBRARY_IMPL(npu, {key}, m) {{"]
        parts += [f'  m.impl("{row.name}", &{row.identifier});' for row in rows]
    parts += ["}", "", "TORCH_LIBRARY_IMPL(npu, NPU_AUTOGRAD_KEY, m) {"]
    for row in rows:
        function = f"&{row.identifier}_with_gradient" if row.gradient is not None else "not_differentiable()"
        parts.append(f'  m.impl("{row.name}", {function});')
    written = [row for row in rows if any(argument.written for argument in row.arguments)]
    parts += ["}", ""]
    if written:
        parts.append("TORCH_LIBRARY_IMPL(npu, ADInplaceOrView, m) {")
        parts += [f'  m.impl("{row.name}", counts_changes());' for row in written]
        parts += ["}", ""]
    parts += ["}  // namespace", "}  // namespace custom", "}  // namespace npu", ""]
    return "\n".join(parts)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

"""Every operator's numbers; of those that only other adapters call, shapes and types that are refused."""

from __future__ import annotations

import ctypes
from typing import Any

import forms_page
import pytest
import torch
from acl import INVALID, JOINT, KERNELS, SIGNATURES, AclError, Simulator, symbol
from cases import CASES, FORMS, REFUSED
from cases.base import Case
from cases.fused import SEEDED
from cases.shared import SHARED

EVERY = {**CASES, **SHARED}
#: Outputs that are compared with a shape which the kernel sets.
SPARE = 3


def on_device(simulator: Simulator, value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return simulator.put(value)
    if isinstance(value, list) and value and isinstance(value[0], torch.Tensor):
        return [simulator.put(item) for item in value]
    return value


def room(simulator: Simulator, wanted: Any, sized: bool) -> Any:
    """Memory for an output, with something in it that no case expects."""
    if wanted is None:
        return None
    if isinstance(wanted, list):
        return [simulator.room(*item.shape, dtype=item.dtype) for item in wanted]
    shape = (wanted.numel() + SPARE,) if sized else wanted.shape
    return simulator.room(*shape, dtype=wanted.dtype)


def arguments_of(simulator: Simulator, name: str, case: Case) -> tuple[list[Any], list[Any]]:
    """The arguments in C order, and of them those that are written."""
    given, gives = iter(case.given), iter(case.gives)
    arguments, written = [], []
    for parameter in SIGNATURES[name]:
        if parameter.base in ("out", "outs"):
            value = room(simulator, next(gives), parameter.name in KERNELS[name].sized)
        else:
            value = on_device(simulator, next(given))
            if parameter.written:
                next(gives)
        arguments.append(value)
        if parameter.written:
            written.append(value)
    assert next(given, None) is None, "the case has more values than the operator has parameters"
    return arguments, written


def assert_holds(
    simulator: Simulator, case: Case, written: Any, wanted: Any, shape: list[int] | None
) -> None:
    if wanted is None:
        return
    if isinstance(wanted, list):
        for one, other in zip(written, wanted, strict=True):
            assert_holds(simulator, case, one, other, None)
        return
    actual = simulator.get(written)
    if wanted.is_floating_point() and wanted.element_size() == 1:  # float8: the same bits
        actual, wanted = actual.view(torch.uint8), wanted.view(torch.uint8)
    if shape is not None:
        assert (actual[wanted.numel() :] == 77).all(), "written behind the result"
        actual = actual[: wanted.numel()].reshape(shape)
    torch.testing.assert_close(actual, wanted, rtol=case.rtol, atol=case.atol, equal_nan=True)


@pytest.mark.parametrize("name", sorted(EVERY))
def test_numbers(simulator, name):
    assert_numbers(simulator, name, EVERY[name])


@pytest.mark.parametrize(("name", "case"), [pytest.param(n, c, id=f"{n}: {label}") for n, label, c in FORMS])
def test_numbers_of_each_form(simulator, name, case):
    assert_numbers(simulator, name, case)


@pytest.mark.parametrize(
    ("name", "given", "outputs", "code", "message"),
    [pytest.param(*row, id=f"{row[0]}: {row[4]}") for row in REFUSED],
)
def test_what_cann_refuses_is_refused_at_once(simulator, name, given, outputs, code, message):
    """With CANN's code, and a message that names parameter, value and rule; then the same operator works."""
    arguments, _ = arguments_of(simulator, name, Case(given, outputs or given))
    with pytest.raises(AclError, match=message) as error:
        simulator.prepare(name, *arguments)
    assert error.value.code == code
    assert_numbers(simulator, name, EVERY[name])


def assert_numbers(simulator: Simulator, name: str, case: Case) -> None:
    arguments, written = arguments_of(simulator, name, case)
    parameters = SIGNATURES[name]
    handles = [simulator.argument(*pair) for pair in zip(parameters, arguments, strict=True)]
    size, executor = simulator.prepare_raw(name, handles)
    simulator.launch(name, simulator.malloc(size) if size else 0, size, executor)
    simulator.check("aclrtSynchronizeDevice")
    outputs = [index for index, parameter in enumerate(parameters) if parameter.written]
    for index, value, wanted in zip(outputs, written, case.gives, strict=True):
        sized = parameters[index].name in KERNELS[name].sized
        shape = simulator.view_shape(handles[index].value) if sized else None
        assert_holds(simulator, case, value, wanted, shape)


def test_every_operator_has_a_case():
    assert not set(CASES) & set(SHARED)
    assert set(KERNELS) == set(EVERY) | SEEDED | JOINT  # test_joint.py has those of several ranks


#: Whose check is about other operands: any shape of what they write in place is right.
ANY_SHAPE = frozenset({"ForeachNonFiniteCheckAndUnscale", "InplaceFillTensor", "InplaceRenorm"})
#: Of these the trial of phase one finds it out, whatever their row says.
TRIED = {name for name, _, _ in FORMS if all(parameter.base != "inout" for parameter in SIGNATURES[name])}
CHECKED = [
    name
    for name in CASES
    if (KERNELS[name].check is not False or name in TRIED)
    and not KERNELS[name].sized
    and name not in ANY_SHAPE
]


@pytest.mark.parametrize("name", sorted(CHECKED))
def test_an_output_of_another_shape_is_refused_at_once(simulator, name):
    """Phase one says so, before anything is queued."""
    arguments, _ = arguments_of(simulator, name, CASES[name])
    checked = KERNELS[name].shapes or [parameter.name for parameter in SIGNATURES[name] if parameter.written]
    position = next(i for i, parameter in enumerate(SIGNATURES[name]) if parameter.name in checked)
    value = arguments[position]
    if isinstance(value, list):
        value = [*value[:-1], simulator.room(2, *value[-1].like.shape, dtype=value[-1].like.dtype)]
    elif SIGNATURES[name][position].base == "inout":
        value = simulator.room(1, 7, dtype=value.like.dtype)
    else:
        value = simulator.room(2, *value.like.shape, dtype=value.like.dtype)
    arguments[position] = value
    with pytest.raises(AclError) as error:
        simulator.prepare(name, *arguments)
    assert error.value.code == INVALID
    assert symbol(name) in error.value.message


def run_and_wait(simulator: Simulator, name: str, arguments: list[Any]) -> None:
    simulator.run(name, *arguments)
    simulator.check("aclrtSynchronizeDevice")


REAL_RESULT = [
    name
    for name, case in CASES.items()
    if isinstance(case.gives[0], torch.Tensor)
    and case.gives[0].is_floating_point()
    and any(parameter.base == "out" for parameter in SIGNATURES[name])
    and name not in {"NpuFormatCast", "NormalFloatFloat", "LogSpace"}  # of any type that is asked for
]


@pytest.mark.parametrize("name", sorted(REAL_RESULT))
def test_a_result_that_its_output_cannot_hold_is_an_error(simulator, name):
    """Numbers are never rounded to whole ones in silence: phase one refuses, or the kernel fails."""
    arguments, _ = arguments_of(simulator, name, CASES[name])
    position = next(i for i, parameter in enumerate(SIGNATURES[name]) if parameter.base == "out")
    arguments[position] = simulator.room(*arguments[position].like.shape, dtype=torch.int32)
    with pytest.raises(AclError):
        run_and_wait(simulator, name, arguments)


def test_a_null_in_a_list_of_outputs_is_refused(simulator):
    x = simulator.put(torch.ones(2))
    with pytest.raises(AclError, match="'out' has a NULL among its tensors"):
        simulator.prepare("ForeachNeg", [x], [None])


def test_a_type_that_no_kernel_takes_is_refused(simulator):
    """7 is ACL_UINT16, for which torch has no kernels."""
    x = simulator.put(torch.ones(2))
    sizes = (ctypes.c_int64 * 1)(2)
    handle = simulator.base.aclCreateTensor(
        sizes,
        ctypes.c_uint64(1),
        7,
        sizes,
        ctypes.c_int64(0),
        2,
        sizes,
        ctypes.c_uint64(1),
        ctypes.c_void_p(x.address),
    )  # 7: ACL_UINT16
    out = simulator.tensor(simulator.room(2))
    with pytest.raises(AclError, match="data type 7"):
        simulator.prepare_raw("Mish", [ctypes.c_void_p(handle), ctypes.c_void_p(out)])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_what_the_cpu_lacks_in_16_bits_is_computed_in_32(simulator, dtype):
    """Layer norm's backward with 16-bit operands and float32 statistics has no CPU kernel."""
    x, grad = torch.randn(4, 8).to(dtype), torch.randn(4, 8).to(dtype)
    weight = torch.ones(8, dtype=dtype)
    _, mean, rstd = torch.native_layer_norm(x.float(), [8], weight.float(), None, 1e-5)
    outs = [simulator.room(*shape, dtype=dtype) for shape in ((4, 8), (8,), (8,))]
    statistics = [simulator.put(value) for value in (mean, rstd)]
    simulator.run(
        "LayerNormBackward", simulator.put(grad), simulator.put(x), [8], *statistics, simulator.put(weight),
        simulator.put(weight * 0), [True] * 3, *outs,
    )  # fmt: skip
    leaf = x.float().requires_grad_()
    wanted = torch.autograd.grad(torch.nn.functional.layer_norm(leaf, [8]), leaf, grad.float())[0]
    torch.testing.assert_close(simulator.get(outs[0]), wanted.to(dtype))


def test_the_page_says_what_is_checked():
    assert forms_page.PAGE.read_text(encoding="utf-8") == forms_page.page(), (
        "run simulator/tests/forms_page.py"
    )

"""CANN's older path: operators by name that are served, and what becomes of the others."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from acl import DTYPES, INVALID, AclError, DeviceTensor, Simulator, ints

NC1HWC0, FRACTAL_NZ = 3, 29


@dataclass(frozen=True)
class Stored:
    """A tensor of this logical shape, of which the device holds `tensor` in a private format."""

    tensor: DeviceTensor
    shape: tuple[int, ...]
    format: int


Operand = DeviceTensor | Stored


def run_by_name(
    simulator: Simulator,
    name: str,
    sources: Operand | Sequence[Operand],
    target: Operand,
    **attributes: int | float,
) -> None:
    """aclopCompileAndExecute with these inputs and one output."""
    compiler = ctypes.CDLL("libacl_op_compiler.so")
    runtime = simulator.runtime
    for create in ("aclCreateTensorDesc", "aclCreateDataBuffer", "aclopCreateAttr"):
        getattr(runtime, create).restype = ctypes.c_void_p

    def described(one: Operand) -> tuple[int, int]:
        tensor = one.tensor if isinstance(one, Stored) else one
        shape = one.shape if isinstance(one, Stored) else tensor.like.shape
        desc = runtime.aclCreateTensorDesc(DTYPES[tensor.like.dtype], len(shape), ints(shape), 2)
        if isinstance(one, Stored):
            held = tensor.like.shape
            runtime.aclSetTensorFormat(ctypes.c_void_p(desc), one.format)
            runtime.aclSetTensorShape(ctypes.c_void_p(desc), len(held), ints(held))
        size = ctypes.c_size_t(tensor.like.numel() * tensor.like.element_size())
        return desc, runtime.aclCreateDataBuffer(ctypes.c_void_p(tensor.address), size)

    def operands(ones: Sequence[Operand]) -> Iterator[Any]:
        yield len(ones)
        for column in zip(*map(described, ones), strict=True):
            yield (ctypes.c_void_p * len(ones))(*column)

    attr = ctypes.c_void_p(runtime.aclopCreateAttr())
    for key, value in attributes.items():
        if isinstance(value, int):
            runtime.aclopSetAttrInt(attr, key.encode(), ctypes.c_int64(value))
        else:
            runtime.aclopSetAttrFloat(attr, key.encode(), ctypes.c_float(value))
    inputs = operands([sources] if isinstance(sources, DeviceTensor | Stored) else sources)
    code = compiler.aclopCompileAndExecute(
        name.encode(), *inputs, *operands([target]), attr, 0, 0, None, None
    )
    runtime.aclopDestroyAttr(attr)
    if code != 0:
        raise AclError(name, code, simulator.message())


@pytest.fixture(autouse=True)
def _libraries_by_name(libraries):
    """The libraries find each other by name once they are loaded; an adapter's process has done so."""
    ctypes.CDLL(str(libraries / "libacl_op_compiler.so"), mode=ctypes.RTLD_GLOBAL)


@pytest.mark.parametrize("shape", [(1, 4), (4,), (), (3, 1)])
def test_broadcast_to_copies_an_expanded_tensor(simulator, shape):
    x, out = torch.randn(shape), simulator.room(3, 4)
    run_by_name(simulator, "BroadcastTo", simulator.put(x), out)
    assert torch.equal(simulator.get(out), x.expand(3, 4))


def test_a_shape_that_does_not_broadcast_is_refused(simulator):
    with pytest.raises(AclError, match="does not broadcast") as error:
        run_by_name(simulator, "BroadcastTo", simulator.room(2), simulator.room(3, 4))
    assert error.value.code != 0


def as_nz(x: torch.Tensor) -> torch.Tensor:
    """[..., rows, columns] in blocks of 16 x 16, filled up with zeros, blocks of columns first."""
    rows, columns = -x.shape[-2] % 16, -x.shape[-1] % 16
    full = torch.nn.functional.pad(x, (0, columns, 0, rows))
    return full.unflatten(-1, (-1, 16)).unflatten(-3, (-1, 16)).movedim(-2, -4).contiguous()


def as_nc1hwc0(x: torch.Tensor) -> torch.Tensor:
    """[N, C, H, W] with the channels in blocks of 16, filled up with zeros."""
    full = torch.nn.functional.pad(x, (0, 0, 0, 0, 0, -x.shape[1] % 16))
    return full.unflatten(1, (-1, 16)).movedim(2, -1).contiguous()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize(
    ("shape", "private", "stored"),
    [
        ((32, 48), FRACTAL_NZ, as_nz),
        ((20, 7), FRACTAL_NZ, as_nz),
        ((2, 3, 20, 40), FRACTAL_NZ, as_nz),
        ((2, 17, 4, 5), NC1HWC0, as_nc1hwc0),
    ],
)
def test_identity_moves_a_tensor_to_a_private_format_and_back(simulator, shape, private, stored, dtype):
    x = torch.randn(shape).to(dtype)
    want = stored(x)
    held = simulator.put(torch.full_like(want, 7))
    run_by_name(simulator, "Identity", simulator.put(x), Stored(held, shape, private))
    assert torch.equal(simulator.get(held), want)
    back = simulator.put(torch.zeros_like(x))
    run_by_name(simulator, "Identity", Stored(held, shape, private), back)
    assert torch.equal(simulator.get(back), x)


def test_which_types_are_moved_between_formats(simulator):
    """Real types and bool; the others are refused by name, not moved as bytes."""
    refused = [dtype for dtype in DTYPES if dtype.is_complex]
    for dtype in DTYPES:
        x = torch.ones(2, 3).to(dtype)
        out = simulator.put(torch.zeros_like(x))
        if dtype in refused:
            with pytest.raises(AclError, match="is not moved between formats"):
                run_by_name(simulator, "Identity", simulator.put(x), out)
        else:
            run_by_name(simulator, "Identity", simulator.put(x), out)
            assert torch.equal(simulator.get(out).float(), x.float())  # float8 is not compared in torch 2.4
    assert len(refused) == 2


def test_a_format_that_does_not_hold_the_shape_is_refused(simulator):
    x, held = simulator.room(20, 7), simulator.room(1, 1, 16, 16)
    with pytest.raises(AclError, match="not known for this shape"):
        run_by_name(simulator, "Identity", x, Stored(held, (20, 7), FRACTAL_NZ))


@pytest.mark.parametrize("p", [0.0, 1.0, 2.0, 2.5, -1.0])
def test_distances_are_those_of_two_tensors_along_the_last_dimension(simulator, p):
    """As an adapter asks for cdist: rows against rows, both spread to [batch, rows, rows, columns]."""
    x, y = torch.randn(2, 30, 4), torch.randn(2, 3, 4)
    spread = [t.expand(2, 30, 3, 4).contiguous() for t in (x[:, :, None], y[:, None])]
    out = simulator.room(2, 30, 3)
    run_by_name(simulator, "Cdist", [simulator.put(t) for t in spread], out, p=p)
    difference = (x[:, :, None].double() - y[:, None].double()).abs()
    want = torch.linalg.vector_norm(difference, float("inf") if p == -1 else p, -1).float()
    torch.testing.assert_close(simulator.get(out), want)


def test_distances_of_half_precision_and_of_nothing(simulator):
    x, y, out = (torch.randn(5, 4).half(), torch.randn(5, 4).half(), simulator.room(5, dtype=torch.float16))
    run_by_name(simulator, "Cdist", [simulator.put(x), simulator.put(y)], out, p=2.0)
    want = (x.double() - y.double()).square().sum(-1).sqrt().half()
    torch.testing.assert_close(simulator.get(out), want, rtol=2e-3, atol=2e-3)
    run_by_name(simulator, "Cdist", [simulator.room(0, 4), simulator.room(0, 4)], simulator.room(0), p=2.0)


def test_distances_that_do_not_fit_are_refused(simulator):
    x, y, nz = simulator.room(5, 4), simulator.room(5, 3), Stored(simulator.room(1, 1, 16, 16), (5, 4), 29)
    for inputs, out, p, text in (
        ([x, y], simulator.room(5), 2.0, "the inputs' shapes differ"),
        ([x, x], simulator.room(4), 2.0, "the output's shape is not"),
        ([x, x], simulator.room(5), -2.0, "'p' is -2"),
        ([x], simulator.room(5), 2.0, "takes 2 inputs and one output, and was given 1 and 1"),
        ([x, nz], simulator.room(5), 2.0, "in a private format"),
    ):
        with pytest.raises(AclError, match=text) as error:
            run_by_name(simulator, "Cdist", inputs, out, p=p)
        assert error.value.code != 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize(("steps", "base"), [(5, 10.0), (1, 2.0), (4, 0.5), (0, 2.0)])
def test_a_logarithmic_range_is_made_of_its_attributes(simulator, steps, base, dtype):
    out, counted = simulator.room(steps, dtype=dtype), simulator.room(steps, dtype=dtype)
    run_by_name(simulator, "LogSpaceD", counted, out, start=0.0, end=2.0, steps=steps, base=base, dtype=1)
    torch.testing.assert_close(simulator.get(out), torch.logspace(0, 2, steps, base).to(dtype))


def test_a_logarithmic_range_that_does_not_fit_is_refused(simulator):
    given = {"start": 0.0, "end": 2.0, "steps": 5}
    with pytest.raises(AclError, match="the attribute 'base' is missing"):
        run_by_name(simulator, "LogSpaceD", simulator.room(5), simulator.room(5), **given)
    with pytest.raises(AclError, match="'steps' elements, 5"):
        run_by_name(simulator, "LogSpaceD", simulator.room(4), simulator.room(4), **given, base=10.0)


def test_another_operator_by_name_is_refused_with_its_name(simulator):
    with pytest.raises(AclError, match="has no operator 'Sqrt'") as error:
        run_by_name(simulator, "Sqrt", simulator.room(2), simulator.room(2))
    assert error.value.code != INVALID

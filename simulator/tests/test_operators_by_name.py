"""CANN's older path: the two operators by name that are served, and what becomes of the others."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

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


def run_by_name(
    simulator: Simulator, name: str, source: DeviceTensor | Stored, target: DeviceTensor | Stored
) -> None:
    """aclopCompileAndExecute with one input and one output."""
    compiler = ctypes.CDLL("libacl_op_compiler.so")
    runtime = simulator.runtime
    runtime.aclCreateTensorDesc.restype = runtime.aclCreateDataBuffer.restype = ctypes.c_void_p

    def operand(
        one: DeviceTensor | Stored,
    ) -> tuple[ctypes.Array[ctypes.c_void_p], ctypes.Array[ctypes.c_void_p]]:
        tensor = one.tensor if isinstance(one, Stored) else one
        shape = one.shape if isinstance(one, Stored) else tensor.like.shape
        desc = runtime.aclCreateTensorDesc(DTYPES[tensor.like.dtype], len(shape), ints(shape), 2)
        if isinstance(one, Stored):
            held = tensor.like.shape
            runtime.aclSetTensorFormat(ctypes.c_void_p(desc), one.format)
            runtime.aclSetTensorShape(ctypes.c_void_p(desc), len(held), ints(held))
        size = ctypes.c_size_t(tensor.like.numel() * tensor.like.element_size())
        buffer = runtime.aclCreateDataBuffer(ctypes.c_void_p(tensor.address), size)
        return (ctypes.c_void_p * 1)(desc), (ctypes.c_void_p * 1)(buffer)

    code = compiler.aclopCompileAndExecute(
        name.encode(), 1, *operand(source), 1, *operand(target), None, 0, 0, None, None
    )
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
            assert torch.equal(simulator.get(out), x)
    assert len(refused) == 2


def test_a_format_that_does_not_hold_the_shape_is_refused(simulator):
    x, held = simulator.room(20, 7), simulator.room(1, 1, 16, 16)
    with pytest.raises(AclError, match="not known for this shape"):
        run_by_name(simulator, "Identity", x, Stored(held, (20, 7), FRACTAL_NZ))


def test_another_operator_by_name_is_refused_with_its_name(simulator):
    with pytest.raises(AclError, match="has no operator 'Sqrt'") as error:
        run_by_name(simulator, "Sqrt", simulator.room(2), simulator.room(2))
    assert error.value.code != INVALID

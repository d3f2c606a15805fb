"""The rules of an aclnn call: two phases, executors, workspaces, handles, and what is refused."""

from __future__ import annotations

import ctypes

import pytest
import torch
from acl import INVALID, KERNEL_FAILED, NULL_POINTER, SERVED, SIGNATURES, AclError, DeviceTensor, symbol


@pytest.fixture
def matrices(simulator):
    torch.manual_seed(0)
    left, right = torch.randn(4, 6), torch.randn(6, 5)
    return simulator.put(left), simulator.put(right), simulator.room(4, 5), left @ right


def test_mm(simulator, matrices):
    left, right, out, expected = matrices
    simulator.run("Mm", left, right, out, 0)
    torch.testing.assert_close(simulator.get(out), expected)


def test_strides_and_offsets_are_followed(simulator):
    base = torch.randn(8, 10)
    view = base[1:7:2, 2:9].t()  # (7, 3), transposed and offset
    out = simulator.put(torch.zeros(3, 7).t())
    simulator.run("Neg", simulator.put(view), out)
    torch.testing.assert_close(simulator.get(out), -view)


def test_an_executor_serves_one_call(simulator, matrices):
    left, right, out, _ = matrices
    size, executor = simulator.prepare("Mm", left, right, out, 0)
    workspace = simulator.malloc(size)
    simulator.launch("Mm", workspace, size, executor)
    with pytest.raises(AclError, match="used before") as error:
        simulator.launch("Mm", workspace, size, executor)
    assert error.value.code == INVALID


def test_an_executor_belongs_to_its_operator(simulator):
    x, out = simulator.put(torch.ones(3)), simulator.room(3)
    _, executor = simulator.prepare("Neg", x, out)
    with pytest.raises(AclError, match="not one of this operator"):
        simulator.launch("Abs", 0, 0, executor)
    simulator.launch("Neg", 0, 0, executor)
    assert simulator.get(out).tolist() == [-1, -1, -1]


def test_an_executor_that_is_not_used_can_be_destroyed(simulator):
    x, out = simulator.put(torch.ones(3)), simulator.room(3)
    _, executor = simulator.prepare("Neg", x, out)
    destroy = simulator.operators.aclDestroyAclOpExecutor
    assert destroy(ctypes.c_void_p(executor)) == 0
    assert destroy(ctypes.c_void_p(executor)) == INVALID
    with pytest.raises(AclError):
        simulator.launch("Neg", 0, 0, executor)


def test_handles_may_be_destroyed_after_phase_one(simulator):
    x, out = simulator.put(torch.tensor([1.0, 2.0])), simulator.room(2)
    other = torch.tensor([3.0, 4.0])
    handles = [
        simulator.tensor(x),
        simulator.tensor(simulator.put(other)),
        simulator.scalar(2),
        simulator.tensor(out),
    ]
    _, executor = simulator.prepare_raw("Add", [ctypes.c_void_p(handle) for handle in handles])
    for kind, handle in zip(("Tensor", "Tensor", "Scalar", "Tensor"), handles, strict=True):
        simulator.destroy(kind, handle)
    simulator.launch("Add", 0, 0, executor)
    assert simulator.get(out).tolist() == [7, 10]


@pytest.mark.parametrize("fault", ["none", "small", "host", "freed", "other device"])
def test_a_workspace_that_is_asked_for_must_be_given(simulator, matrices, fault):
    left, right, out, _ = matrices
    size, executor = simulator.prepare("Mm", left, right, out, 0)
    assert size > 0
    host = ctypes.create_string_buffer(size)
    if fault == "other device":
        simulator.check("aclrtSetDevice", 1)
    workspace = simulator.malloc(size)
    simulator.check("aclrtSetDevice", 0)
    given = {"none": 0, "host": ctypes.addressof(host)}.get(fault, workspace)
    if fault == "freed":
        simulator.free(workspace)
    with pytest.raises(AclError, match="needs a workspace of 512 bytes") as error:
        simulator.launch("Mm", given, size - 1 if fault == "small" else size, executor)
    assert error.value.code == (NULL_POINTER if fault == "none" else INVALID)


def test_the_output_is_never_resized(simulator, matrices):
    left, right, _, _ = matrices
    with pytest.raises(AclError, match=r"'out' has shape \[5, 4\].*computes shape \[4, 5\]") as error:
        simulator.prepare("Mm", left, right, simulator.room(5, 4), 0)
    assert error.value.code == INVALID


def test_shapes_that_do_not_fit_are_refused_at_once(simulator, matrices):
    left, _, out, _ = matrices
    with pytest.raises(AclError, match="mat1 and mat2 shapes cannot be multiplied") as error:
        simulator.prepare("Mm", left, left, out, 0)
    assert error.value.code == INVALID


def test_a_checked_call_does_not_vouch_for_another(simulator):
    """The shape check is skipped for arguments that passed before: dim is part of what passed."""
    x, values, places = (
        simulator.put(torch.randn(3, 4)),
        simulator.room(3),
        simulator.room(3, dtype=torch.int64),
    )
    for _ in range(2):
        simulator.run("MaxDim", x, 1, False, values, places)
    with pytest.raises(AclError, match="shape"):
        simulator.prepare("MaxDim", x, 0, False, values, places)
    with pytest.raises(AclError, match="out of range"):
        simulator.prepare("MaxDim", x, 2, False, values, places)


def test_a_wrong_output_type_is_refused(simulator):
    x = simulator.put(torch.randn(3))
    with pytest.raises(AclError, match="can't be cast") as error:
        simulator.prepare("Exp", x, simulator.room(3, dtype=torch.int64))
    assert error.value.code == INVALID


def test_host_memory_is_no_operand(simulator):
    host = torch.ones(4)
    with pytest.raises(AclError, match=r"'self'.*live allocation"):
        simulator.prepare("Neg", DeviceTensor(host.data_ptr(), host), simulator.room(4))


def test_memory_of_another_device_is_no_operand(simulator):
    x = simulator.put(torch.ones(4))
    simulator.check("aclrtSetDevice", 1)
    with pytest.raises(AclError, match="'self' lies on device 0, the thread's device is 1"):
        simulator.prepare("Neg", x, simulator.room(4))


def test_memory_freed_between_the_phases_is_noticed(simulator):
    x, out = simulator.put(torch.ones(4)), simulator.room(4)
    _, executor = simulator.prepare("Neg", x, out)
    simulator.free(x.address)
    with pytest.raises(AclError, match=r"'self'.*live allocation"):
        simulator.launch("Neg", 0, 0, executor)


def test_a_view_beyond_its_storage_is_refused(simulator):
    x = simulator.put(torch.ones(4))
    handle = simulator.base.aclCreateTensor(
        (ctypes.c_int64 * 1)(4), ctypes.c_uint64(1), 0, (ctypes.c_int64 * 1)(1), ctypes.c_int64(1), 2,
        (ctypes.c_int64 * 1)(4), ctypes.c_uint64(1), ctypes.c_void_p(x.address),
    )  # fmt: skip
    out = simulator.tensor(simulator.room(4))
    with pytest.raises(AclError, match="'self' reaches element 4 of a storage of 4"):
        simulator.prepare_raw("Neg", [ctypes.c_void_p(handle), ctypes.c_void_p(out)])


def test_a_failing_kernel_is_reported_by_the_next_synchronize(simulator):
    weight, out = simulator.put(torch.randn(4, 2)), simulator.room(1, 2)
    simulator.run("Embedding", weight, simulator.put(torch.tensor([9])), out)
    with pytest.raises(AclError, match=r"aclnnEmbedding failed.*out of range") as error:
        simulator.check("aclrtSynchronizeStream", None)
    assert error.value.code == KERNEL_FAILED
    simulator.check("aclrtSynchronizeStream", None)


def test_kernels_of_two_streams_are_ordered_by_an_event(simulator):
    streams = [ctypes.c_void_p() for _ in range(2)]
    event = ctypes.c_void_p()
    for stream in streams:
        simulator.check("aclrtCreateStream", ctypes.byref(stream))
    simulator.check("aclrtCreateEvent", ctypes.byref(event))
    x = torch.randn(200, 200)
    left, product, out = simulator.put(x), simulator.room(200, 200), simulator.room(200, 200)
    simulator.run("Mm", left, left, product, 0, stream=streams[0])
    simulator.check("aclrtRecordEvent", event, streams[0])
    simulator.check("aclrtStreamWaitEvent", streams[1], event)
    simulator.run("Neg", product, out, stream=streams[1])
    torch.testing.assert_close(simulator.get(out), -(x @ x))
    for stream in streams:
        simulator.check("aclrtDestroyStream", stream)


def test_an_operator_without_a_kernel_has_no_symbol(simulator):
    assert not hasattr(simulator.operators, "aclnnNoSuchOperator")
    assert not hasattr(simulator.operators, "aclnnNoSuchOperatorGetWorkspaceSize")


def test_every_operator_that_this_torch_can_compute_is_served(simulator):
    found = {name for name in SIGNATURES if hasattr(simulator.operators, f"{symbol(name)}GetWorkspaceSize")}
    assert found == SERVED


@pytest.mark.parametrize("name", sorted(SERVED))
def test_null_pointers_are_refused(simulator, name):
    arguments = [
        ctypes.c_void_p(None) if parameter.c_type.endswith("*") else ctypes.c_int64(0)
        for parameter in SIGNATURES[name]
    ]
    for position, parameter in enumerate(SIGNATURES[name]):
        if parameter.base in ("float", "double"):
            arguments[position] = ctypes.c_double(0)
    first = next(item.name for item in SIGNATURES[name] if item.c_type.endswith("*") and not item.optional)
    with pytest.raises(AclError, match=f"{symbol(name)}: '{first}' is NULL") as error:
        simulator.prepare_raw(name, arguments)
    assert error.value.code == NULL_POINTER

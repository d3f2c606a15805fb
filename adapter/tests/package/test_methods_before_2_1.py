"""The methods that torch 2.0.1 gets from the package, since it makes none itself; they work on any torch."""

import pytest
import torch
from npu_testing import TORCH
from torch_npu import _tensor_methods as methods

RAMP = torch.arange(4.0)


@pytest.mark.parametrize("device", [1, "npu:1", torch.device("npu:1")])
def test_a_tensor_moves_and_stays_when_it_is_there(device):
    moved = methods._tensor_to_npu(RAMP, device)
    assert moved.device == torch.device("npu:1")
    assert methods._is_npu(moved)
    assert not methods._is_npu(RAMP)
    assert methods._tensor_to_npu(moved, device) is moved


def test_a_module_moves():
    module = methods._module_to_npu(torch.nn.Linear(2, 2))
    assert {parameter.device for parameter in module.parameters()} == {torch.device("npu:0")}


@pytest.mark.skipif(TORCH < (2, 0), reason="torch 1 has no storages for npu")
def test_a_storage_moves_and_stays_when_it_is_there():
    moved = methods._storage_to_npu(RAMP.untyped_storage(), 1)
    assert (moved.device, moved.nbytes()) == (torch.device("npu:1"), 16)
    assert methods._storage_to_npu(moved, 1) is moved


def test_manual_seed_reaches_the_device():
    seeds = []
    manual_seed = methods._seed_npu_too(seeds.append)
    manual_seed(11)
    assert seeds == [11]
    assert torch.npu.initial_seed() == 11

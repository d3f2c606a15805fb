"""Small networks of many kinds train on the device as on the CPU: the same losses, step by step."""

import pytest
import torch
from small_networks import NETWORKS


def losses(name, device, optimizer=torch.optim.SGD):
    make, sample, loss = NETWORKS[name]
    torch.manual_seed(0)
    model, x = make(), sample()
    model, x = model.to(device), x.to(device)
    step = optimizer(model.parameters(), lr=0.05)
    values = []
    for _ in range(4):
        step.zero_grad()
        value = loss(model(x))
        value.backward()
        step.step()
        values.append(value.item())
    return values


@pytest.mark.filterwarnings("ignore:the npu backend has no kernel")
@pytest.mark.parametrize("name", NETWORKS)
def test_training_gives_the_losses_of_the_cpu(name):
    expected = losses(name, "cpu")
    assert expected[-1] < expected[0], "the network does not learn: the comparison says nothing"
    assert losses(name, "npu") == pytest.approx(expected, rel=2e-3)

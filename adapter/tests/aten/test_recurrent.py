"""Recurrent networks, whose cells PyTorch asks a backend for whole."""

import pytest
import torch
from npu_testing import TORCH


@pytest.mark.skipif(TORCH < (2, 0), reason="torch 1 has no kernel of cat to give")
@pytest.mark.usefixtures("no_fallback")
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", [torch.nn.LSTM, torch.nn.GRU])
def test_states_and_gradients_are_the_cpu_s(kind, bias):
    torch.manual_seed(0)
    network = kind(3, 4, num_layers=2, bias=bias)
    x = torch.randn(5, 2, 3)
    expected = _run(network, x.clone())
    assert len(expected) > 4
    torch.testing.assert_close(_run(network.npu(), x.npu()), expected)


def _run(network, x):
    """Output, last states and every gradient, on the CPU."""
    network.zero_grad(set_to_none=True)
    x.requires_grad_()
    output, states = network(x)
    states = states if isinstance(states, tuple) else (states,)
    (output.square().sum() + sum(state.sum() for state in states)).backward()
    gradients = [parameter.grad for parameter in (x, *network.parameters())]
    return [tensor.detach().cpu() for tensor in (output, *states, *gradients)]


def test_without_gradients_the_output_is_the_same():
    network = torch.nn.LSTM(3, 4).npu()
    x = torch.randn(2, 1, 3, device="npu")
    with torch.inference_mode():
        inferred = network(x)[0]
    assert torch.equal(inferred.cpu(), network(x)[0].detach().cpu())

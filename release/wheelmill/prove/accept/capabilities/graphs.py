"""Graphs: what is captured runs with each replay, on what the same tensors hold by then."""

from __future__ import annotations

import copy
import functools
from typing import Any, Callable

import torch
from harness import Group, offered

group = Group("graphs")
DEVICE = group.device


def has(*names: str) -> None:
    """End the check as "not offered" where torch.npu lacks one of the names."""
    for name in names:
        offered(hasattr(torch.npu, name), f"torch.npu.{name} is absent")


def captured(run: Callable[[], Any], *, stream: Any = None) -> tuple[Any, Any]:
    """A graph of `run()` and its result, after a warm-up outside."""
    has("NPUGraph", "graph")
    side = stream or torch.npu.Stream()
    side.wait_stream(torch.npu.current_stream())
    with torch.npu.stream(side):
        run()
    torch.npu.current_stream().wait_stream(side)
    graph = torch.npu.NPUGraph()
    with torch.npu.graph(graph, stream=side):
        result = run()
    return graph, result


def refused(run: Callable[[], Any]) -> str:
    """The error of what must be one."""
    try:
        run()
    except RuntimeError as error:
        return str(error)
    raise AssertionError("nothing was refused")


@group.check
def a_replay_reads_what_the_inputs_hold() -> None:
    x, w = torch.zeros(4, 6, device=DEVICE), torch.rand(6, 5).to(DEVICE)
    graph, y = captured(lambda: (x @ w).relu() + 1)
    for seed in range(3):
        torch.manual_seed(seed)
        x.copy_(torch.randn(4, 6))
        graph.replay()
        torch.testing.assert_close(y.cpu(), (x.cpu() @ w.cpu()).relu() + 1)


@group.check
def capture_runs_nothing() -> None:
    x = torch.zeros(8, device=DEVICE)
    graph, _ = captured(lambda: x.add_(1))
    assert x.cpu().tolist() == [1.0] * 8  # the warm-up alone
    graph.replay()
    graph.replay()
    assert x.cpu().tolist() == [3.0] * 8


@group.check
def a_training_step_in_a_graph_learns_as_without() -> None:
    has("NPUGraph", "graph")
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.Tanh(), torch.nn.Linear(16, 4))
    plain, model = copy.deepcopy(model), model.to(DEVICE)
    x, t = torch.zeros(5, 8, device=DEVICE), torch.zeros(5, 4, device=DEVICE)
    optimizers = [torch.optim.SGD(each.parameters(), lr=0.1) for each in (model, plain)]

    def step(net: Any, optimizer: Any, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        optimizer.zero_grad(set_to_none=True)
        loss = torch.nn.functional.mse_loss(net(inputs), targets)
        loss.backward()
        optimizer.step()
        return loss

    graph, loss = captured(lambda: step(model, optimizers[0], x, t))
    model.load_state_dict(plain.state_dict())  # undoes the warm-up, at the same addresses
    for seed in range(3):
        torch.manual_seed(seed)
        inputs, targets = torch.randn(5, 8), torch.randn(5, 4)
        x.copy_(inputs)
        t.copy_(targets)
        graph.replay()
        expected = step(plain, optimizers[1], inputs, targets)
        torch.testing.assert_close(loss.cpu(), expected.detach(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(model[0].weight.cpu(), plain[0].weight, rtol=1e-4, atol=1e-5)


@group.check
def two_streams_in_one_graph() -> None:
    x, side = torch.ones(16, device=DEVICE), torch.npu.Stream()

    def run() -> torch.Tensor:
        main = torch.npu.current_stream()
        side.wait_stream(main)
        with torch.npu.stream(side):
            y = x * 3
        main.wait_stream(side)
        return y + 1

    graph, z = captured(run)
    x.fill_(5)
    graph.replay()
    assert z.cpu().tolist() == [16.0] * 16


@group.check
def graphs_share_a_pool() -> None:
    has("NPUGraph", "graph", "graph_pool_handle")
    pool, x, graphs = torch.npu.graph_pool_handle(), torch.ones(16, device=DEVICE), []
    for factor in (2, 3):
        graph = torch.npu.NPUGraph()
        with torch.npu.graph(graph, pool=pool):
            y = x * factor
        graphs.append((graph, y, factor))
    for graph, y, factor in graphs:
        graph.replay()
        assert y.cpu().tolist() == [float(factor)] * 16


@group.check
def callables_become_graphs() -> None:
    has("make_graphed_callables")
    torch.manual_seed(0)
    model = torch.nn.Linear(8, 4)
    plain, model = copy.deepcopy(model), model.to(DEVICE)
    graphed = torch.npu.make_graphed_callables(model, (torch.randn(3, 8).to(DEVICE).requires_grad_(),))
    inputs = torch.randn(3, 8)
    x, c = inputs.to(DEVICE).requires_grad_(), inputs.clone().requires_grad_()
    graphed(x).square().sum().backward()
    plain(c).square().sum().backward()
    torch.testing.assert_close(x.grad.cpu(), c.grad, rtol=1e-4, atol=1e-4)


@group.check
def waiting_in_a_capture_is_an_error_and_no_hang() -> None:
    x = torch.ones(4, device=DEVICE)
    for wait in (torch.npu.synchronize, lambda: (x + 1).sum().item(), lambda: (x + 1).cpu()):
        refused(functools.partial(captured_alone, wait))
    assert (x + 1).cpu().tolist() == [2.0] * 4  # and what follows works


def captured_alone(run: Callable[[], Any]) -> Any:
    """A graph without a warm-up."""
    has("NPUGraph", "graph")
    graph = torch.npu.NPUGraph()
    with torch.npu.graph(graph):
        run()
    return graph


@group.check
def arguments_are_updated_while_the_graph_waits() -> None:
    has("NPUGraph", "graph", "ExternalEvent", "graph_task_group_begin")
    a, b, c = (torch.randn(4, 4).to(DEVICE) for _ in range(3))
    out, stream, updates = torch.zeros(4, 4, device=DEVICE), torch.npu.Stream(), torch.npu.Stream()
    graph, event = torch.npu.NPUGraph(), torch.npu.ExternalEvent()
    torch.npu.synchronize()
    with torch.npu.graph(graph, stream=stream):
        event.wait(stream)
        event.reset(stream)
        torch.npu.graph_task_group_begin(stream)
        torch.mm(a, b, out=out)
        handle = torch.npu.graph_task_group_end(stream)
        y = out + 1
    for second in (c, b):
        graph.replay()
        with torch.npu.stream(updates):
            torch.npu.graph_task_update_begin(updates, handle)
            torch.mm(a, second, out=out)
            torch.npu.graph_task_update_end(updates)
            event.record(updates)
        torch.npu.synchronize()
        torch.testing.assert_close(y.cpu(), a.cpu() @ second.cpu() + 1, rtol=1e-4, atol=1e-4)


@group.check
def limits_on_a_streams_cores() -> None:
    has("set_stream_limit", "get_stream_limit", "reset_stream_limit")
    stream = torch.npu.current_stream()
    torch.npu.set_stream_limit(stream, 2, 4)
    limit = torch.npu.get_stream_limit(stream)
    assert (limit["cube_core_num"], limit["vector_core_num"]) == (2, 4), limit
    assert (torch.ones(4, device=DEVICE) + 1).cpu().tolist() == [2.0] * 4
    torch.npu.reset_stream_limit(stream)
    assert torch.npu.get_stream_limit(stream)["cube_core_num"] > 2


if __name__ == "__main__":
    group.main()

"""Graphs: the capability group `graphs` on this adapter, whose memory they use, and what is an error."""

import gc
import importlib.util
import json
import sys
import threading
from pathlib import Path

import pytest
import torch
from npu_testing import TORCH

CAPABILITIES = Path(__file__).resolve().parents[3] / "release/wheelmill/prove/accept/capabilities"
pytestmark = pytest.mark.usefixtures("no_fallback")


def program():
    """The group's module; its own folder is searched while it is imported."""
    before = list(sys.path)
    sys.path.insert(0, str(CAPABILITIES))
    try:
        spec = importlib.util.spec_from_file_location("capability_graphs", CAPABILITIES / "graphs.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
    finally:
        sys.path[:] = before


PROGRAM = program()


BACKWARD = {"a training step in a graph learns as without", "callables become graphs"}


@pytest.mark.parametrize("check", PROGRAM.group.checks)
def test_the_capability_group_of_graphs(check):
    if TORCH < (2, 0) and check in BACKWARD:
        pytest.skip("torch 1 captures no backward pass")
    PROGRAM.group.checks[check]()
    torch.npu.synchronize()


def doubled(x, **options):
    """A graph of x * 2, and its result."""
    graph = torch.npu.NPUGraph()
    with torch.npu.graph(graph, **options):
        y = x * 2
    return graph, y


def captured(run):
    with torch.npu.graph(torch.npu.NPUGraph()):
        run()


def test_memory_of_a_graph_is_no_one_elses():
    """What a capture has freed is still written by its replays."""
    x = torch.ones(1 << 18, device="npu")
    graph = torch.npu.NPUGraph()
    with torch.npu.graph(graph):
        y = (x * 2 + 1) * 3  # the first two results are freed in the capture
    others = [torch.zeros(1 << 18, device="npu") for _ in range(8)]
    graph.replay()
    assert (y == 9).all()
    assert all((other == 0).all() for other in others)


def test_memory_comes_back_with_the_graph():
    torch.npu.empty_cache()
    before = torch.npu.memory_reserved()
    graph, y = doubled(torch.ones(1 << 20, device="npu"))
    del y
    gc.collect()
    torch.npu.empty_cache()
    assert torch.npu.memory_reserved() > before  # the graph may be replayed
    graph.reset()
    torch.npu.empty_cache()
    assert torch.npu.memory_reserved() == before


def test_replay_after_the_graph_was_given_up():
    graph, _ = doubled(torch.ones(4, device="npu"))
    graph.replay()
    graph.reset()
    with pytest.raises(RuntimeError, match="without a preceding successful capture"):
        graph.replay()
    with pytest.raises(RuntimeError, match="without a preceding successful capture"):
        torch.npu.NPUGraph().replay()


def test_replay_after_an_input_was_freed():
    """CANN refuses it when it is asked for, where the memory went back to CANN."""
    x = torch.ones(1 << 20, device="npu")
    graph, _ = doubled(x)
    del x
    gc.collect()
    torch.npu.empty_cache()
    with pytest.raises(RuntimeError, match="107000"):
        graph.replay()


def test_two_threads():
    """One capture at a time on a device, unless both say thread_local."""
    x, outcomes = torch.ones(4, device="npu"), {}

    def other(mode):
        torch.npu.set_device(0)
        try:
            graph, y = doubled(x, stream=torch.npu.Stream(), capture_error_mode=mode)
            graph.replay()
            outcomes[mode] = y.cpu().tolist()
        except RuntimeError as error:
            outcomes[mode] = str(error)

    for mode in ("global", "thread_local"):
        graph = torch.npu.NPUGraph()
        torch.npu.synchronize()
        with torch.npu.stream(torch.npu.Stream()):
            graph.capture_begin(capture_error_mode=mode)
            thread = threading.Thread(target=other, args=(mode,))
            thread.start()
            thread.join()
            y = x + 1
            graph.capture_end()
        graph.replay()
        assert y.cpu().tolist() == [2.0] * 4
    assert "another thread is capturing a graph on npu:0 already" in outcomes["global"]
    assert outcomes["thread_local"] == [2.0] * 4


def test_what_is_refused_names_it():
    x = torch.ones(4, device="npu")
    graph = torch.npu.NPUGraph()
    with pytest.raises(RuntimeError, match="the default stream cannot be captured"):
        graph.capture_begin()
    with pytest.raises(ValueError, match="capture_error_mode: expected one of 'global'"):
        graph.capture_begin(capture_error_mode="loose")
    with pytest.raises(RuntimeError, match="no capture was begun"):
        graph.capture_end()
    with pytest.raises(RuntimeError, match="every replay would give the same numbers"):
        captured(lambda: torch.rand(4, device="npu"))
    with torch.npu.graph(graph):
        y = x * 2
        with pytest.raises(RuntimeError, match="this thread is capturing"):
            torch.npu.NPUGraph().capture_begin()
    with pytest.raises(RuntimeError, match="holds a capture already"), torch.npu.graph(graph):
        pass
    graph.replay()
    assert y.cpu().tolist() == [2.0] * 4


def test_an_error_in_the_block_is_what_is_raised():
    x = torch.ones(4, device="npu")
    with pytest.raises(ZeroDivisionError):
        captured(lambda: (x * 2, 1 // 0))
    graph, y = doubled(x)  # and the next capture works
    graph.replay()
    assert y.cpu().tolist() == [2.0] * 4


def test_a_dump_is_json(tmp_path):
    graph, _ = doubled(torch.ones(4, device="npu"))
    graph.debug_dump(str(tmp_path / "graph.json"))
    assert json.loads((tmp_path / "graph.json").read_text(encoding="utf-8"))


@pytest.mark.skipif(TORCH < (2, 0), reason="torch 1 captures no backward pass")
def test_graphed_functions_share_a_pool_and_take_turns():
    def first(x):
        return x.sin() * 2

    def second(x):
        return (x + 1).square(), x - 1

    samples = [(torch.rand(3, 4, device="npu").requires_grad_(),) for _ in range(2)]
    one, two = torch.npu.make_graphed_callables((first, second), tuple(samples))

    def leaves(tree):
        return torch.utils._pytree.tree_flatten(tree)[0]

    for seed in range(2):
        torch.manual_seed(seed)
        plain = torch.rand(3, 4).requires_grad_()
        given = plain.detach().npu().requires_grad_()
        for function, graphed in ((first, one), (second, two)):
            wanted, found = function(plain), graphed(given)
            for a, b in zip(leaves(found), leaves(wanted)):  # noqa: B905  (Python 3.9)
                torch.testing.assert_close(a.cpu(), b, rtol=1e-4, atol=1e-5)
            (found_grad,) = torch.autograd.grad(sum(part.sum() for part in leaves(found)), given)
            (wanted_grad,) = torch.autograd.grad(sum(part.sum() for part in leaves(wanted)), plain)
            torch.testing.assert_close(found_grad.cpu(), wanted_grad, rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(TORCH < (2, 0), reason="torch 1 captures no backward pass")
def test_a_graphed_module_follows_its_mode():
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.ReLU()).npu().eval()
    x = torch.rand(2, 4, device="npu")
    wanted = module(x).detach()
    graphed = torch.npu.make_graphed_callables(module, (torch.rand(2, 4, device="npu"),))
    assert graphed is module
    torch.testing.assert_close(graphed(x).detach(), wanted)
    torch.testing.assert_close(module.train()(x).detach(), wanted)  # runs without the graph


def test_arguments_that_cannot_be_graphed():
    with pytest.raises(TypeError, match="expected sample_args of tensors alone"):
        torch.npu.make_graphed_callables(lambda x: x, (1,))
    module = torch.nn.Linear(2, 2).npu()
    module.register_forward_hook(lambda *_: None)
    with pytest.raises(RuntimeError, match="expected a module without hooks"):
        torch.npu.make_graphed_callables(module, (torch.ones(1, 2, device="npu"),))

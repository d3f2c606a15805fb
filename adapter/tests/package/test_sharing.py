"""NPU tensors between processes: one memory, kept while it is used; what cannot be sent is told at once."""

import collections
import concurrent.futures
import gc
import queue
import time

import pytest
import torch
import torch.multiprocessing as mp
import torch.multiprocessing.queue
import torch_npu  # in the processes that this module starts, before torch 2.5 too
from npu_testing import TORCH
from torch import nn

TIMEOUT = 60

Pair = collections.namedtuple("Pair", "first second")

pytestmark = pytest.mark.skipif(TORCH < (2, 1), reason="before 2.1 torch has no storages for npu")


def tensor():
    return torch.arange(6.0, device="npu").reshape(2, 3)


class Kept:
    """An object that holds a tensor, as a data set or an agent does."""

    def __init__(self):
        self.name, self.tensor = "kept", tensor()


SENT = {
    "tensor": tensor,
    "second device": lambda: torch.ones(2, device="npu:1"),
    "view": lambda: tensor().t()[1:],
    "of no elements": lambda: torch.empty(0, 3, device="npu"),
    "large": lambda: torch.ones(3, 1024, 1024, device="npu"),
    "bfloat16": lambda: tensor().bfloat16(),
    "complex conjugate": lambda: torch.complex(tensor(), tensor()).conj(),
    "needs a gradient": lambda: tensor().requires_grad_(),
    "parameter": lambda: nn.Parameter(tensor()),
    "list": lambda: [1, "two", (tensor(),)],
    "dict": lambda: {"step": 1, "batch": {"x": tensor()}},
    "named tuple": lambda: Pair(torch.ones(2), tensor()),
    "object": Kept,
    "module": lambda: nn.Linear(2, 2).npu(),
    "state": lambda: nn.Linear(2, 2).npu().state_dict(),
    "storage": lambda: tensor().untyped_storage(),
}


def leaves(value):
    """The tensors in what was sent, with what makes each what it is."""
    if isinstance(value, torch.Tensor):
        kind = (type(value).__name__, str(value.device), value.requires_grad, value.dtype, value.stride())
        return [(kind, value.detach().cpu().tolist() if value.numel() < 100 else value.sum().item())]
    if isinstance(value, torch.UntypedStorage):
        return [("storage", str(value.device), bytes(value.cpu()))]
    if isinstance(value, nn.Module):
        return leaves(dict(value.state_dict()))
    if isinstance(value, dict):
        return [leaf for key in value for leaf in leaves(value[key])]
    if isinstance(value, (list, tuple)):
        return [leaf for item in value for leaf in leaves(item)]
    return leaves(vars(value)) if isinstance(value, Kept) else [value]


def spawning():
    return mp.get_context("spawn")


def answer(requests, answers):
    """Serves until None comes: what a received object is, or what was raised instead."""
    while True:
        try:
            value = requests.get()
            if value is None:
                return
            answers.put(leaves(value))
            del value
        except Exception as error:
            answers.put(f"{type(error).__name__}: {error}")


@pytest.fixture(scope="module")
def served():
    """A process that says what it received: (its queue, its answers)."""
    context = spawning()
    requests, answers = context.Queue(), context.Queue()
    process = context.Process(target=answer, args=(requests, answers), daemon=True)
    process.start()
    yield requests, answers
    requests.put(None)
    process.join(TIMEOUT)
    assert process.exitcode == 0


@pytest.mark.parametrize("make", SENT.values(), ids=SENT.keys())
def test_it_arrives_as_it_was_sent(served, make):
    requests, answers = served
    value = make()
    requests.put(value)
    assert answers.get(timeout=TIMEOUT) == leaves(value)


def double(requests, answers):
    requests.get().mul_(2)
    torch.npu.synchronize()
    answers.put("done")


def test_both_use_the_same_memory():
    context = spawning()
    requests, answers = context.Queue(), context.Queue()
    process = context.Process(target=double, args=(requests, answers))
    process.start()
    shared = tensor()
    requests.put(shared)
    assert answers.get(timeout=TIMEOUT) == "done"
    process.join(TIMEOUT)
    assert shared.flatten().tolist() == [0, 2, 4, 6, 8, 10]


def test_the_sender_keeps_it_until_the_receiver_has_dropped_it(served):
    requests, answers = served
    requests.put(0)
    assert answers.get(timeout=TIMEOUT) == [0]  # what an earlier test sent is gone there
    before = torch.npu.memory_allocated()  # some of it may go only later
    requests.put(torch.ones(1024, 1024, device="npu"))
    assert answers.get(timeout=TIMEOUT)[0][1] == 1024 * 1024
    requests.put(0)
    assert answers.get(timeout=TIMEOUT) == [0]  # the one before is gone there
    end = time.monotonic() + TIMEOUT
    while torch.npu.memory_allocated() > before and time.monotonic() < end:
        gc.collect()
        torch_npu._sharing.collect()
    assert torch.npu.memory_allocated() <= before


def test_this_process_gets_its_own_memory_back():
    channel = spawning().Queue()
    sent = tensor()
    channel.put(sent)
    received = channel.get(timeout=TIMEOUT)
    received.add_(1)
    assert sent.flatten().tolist() == [1, 2, 3, 4, 5, 6]


def put_and_end(channel):
    channel.put(tensor())
    channel.close()
    channel.join_thread()


def test_a_tensor_of_a_process_that_ended_is_one_clear_error():
    context = spawning()
    channel = context.Queue()
    process = context.Process(target=put_and_end, args=(channel,))
    process.start()
    process.join(TIMEOUT)
    with pytest.raises(RuntimeError, match=rf"process {process.pid} sent from npu:0.*the process has ended"):
        channel.get(timeout=TIMEOUT)


def report(value, channel):
    channel.put(leaves(value))


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_it_is_an_argument_of_a_process(method):
    context = mp.get_context(method)
    channel, value = context.SimpleQueue(), [tensor(), nn.Parameter(tensor())]
    process = context.Process(target=report, args=(value, channel))
    process.start()
    assert channel.get() == leaves(value)
    process.join(TIMEOUT)
    assert process.exitcode == 0


def doubled(value):
    return 2 * value


def test_a_pool_takes_it_and_gives_it():
    with spawning().Pool(1) as pool:
        received = pool.apply_async(doubled, (tensor(),)).get(TIMEOUT)
        assert received.device.type == "npu"
        assert received.cpu().flatten().tolist() == [0, 2, 4, 6, 8, 10]
        del received


def test_an_executor_takes_it():
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=spawning()) as executor:
        received = executor.submit(doubled, tensor()).result(TIMEOUT)
        assert received.cpu().flatten().tolist() == [0, 2, 4, 6, 8, 10]
        del received


def test_a_result_of_a_graph_is_refused_at_once():
    channel = spawning().Queue()
    with pytest.raises(RuntimeError, match=r"non-leaf tensor.*\n.*detach"):
        channel.put(tensor().requires_grad_() * 2)
    channel.put("next")
    assert channel.get(timeout=TIMEOUT) == "next"


def test_a_full_queue_is_full_before_and_after():
    channel = spawning().Queue(maxsize=1)
    channel.put_nowait(tensor())
    with pytest.raises(queue.Full):
        channel.put(2, False)
    assert channel.get(True, TIMEOUT).shape == (2, 3)


def test_what_cannot_be_pickled_at_all_is_reported_as_ever(capfd):
    channel = spawning().Queue()
    channel.put(lambda: None)
    channel.put(1)
    assert channel.get(timeout=TIMEOUT) == 1
    assert "pickle" in capfd.readouterr().err


def put_and_report(channel, value):
    try:
        channel.put(value)
    except RuntimeError as error:
        channel.put(str(error))


def test_a_forked_process_is_told_so():
    channel = mp.get_context("fork").Queue()
    process = mp.get_context("fork").Process(target=put_and_report, args=(channel, tensor()))
    process.start()
    assert ".cpu()" in channel.get(timeout=TIMEOUT)
    process.join(TIMEOUT)
    assert process.exitcode == 0


def test_cpu_tensors_are_shared_as_before():
    channel = spawning().Queue()
    sent = torch.arange(3.0)
    channel.put([sent])
    (received,) = channel.get(timeout=TIMEOUT)
    received.add_(1)
    assert sent.tolist() == [1, 2, 3]

"""NPU tensors are not shared between processes: whoever sends one is told so at once, and nobody waits."""

import collections
import concurrent.futures
import queue

import pytest
import torch
import torch.multiprocessing as mp
import torch.multiprocessing.queue
import torch_npu  # noqa: F401  (in the processes that this module starts, before torch 2.5 too)
from torch import nn

TIMEOUT = 60

Pair = collections.namedtuple("Pair", "first second")


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
    "of no elements": lambda: torch.empty(0, device="npu"),
    "needs a gradient": lambda: tensor().requires_grad_(),
    "parameter": lambda: nn.Parameter(tensor()),
    "list": lambda: [1, "two", (tensor(),)],
    "dict": lambda: {"step": 1, "batch": {"x": tensor()}},
    "named tuple": lambda: Pair(torch.ones(2), tensor()),
    "object": Kept,
    "module": lambda: nn.Linear(2, 2).npu(),
    "state": lambda: nn.Linear(2, 2).npu().state_dict(),
}
if hasattr(torch, "UntypedStorage"):
    SENT["storage"] = lambda: tensor().untyped_storage()

every_object = pytest.mark.parametrize("make", SENT.values(), ids=SENT.keys())


def refused():
    return pytest.raises(RuntimeError, match=r"(?s)on npu:\d.*cannot be sent to another process.*\.cpu\(\)")


def spawning():
    return mp.get_context("spawn")


QUEUES = {
    "Queue": lambda: spawning().Queue(),
    "JoinableQueue": lambda: spawning().JoinableQueue(),
    "SimpleQueue": lambda: spawning().SimpleQueue(),
    "torch's Queue": lambda: mp.queue.Queue(ctx=spawning()),
    "torch's SimpleQueue": lambda: mp.queue.SimpleQueue(ctx=spawning()),
}


@every_object
def test_a_queue_refuses_it_at_put(make):
    channel = spawning().Queue()
    with refused():
        channel.put(make())
    channel.put("next")
    assert channel.get(timeout=TIMEOUT) == "next"


@pytest.mark.parametrize("make", QUEUES.values(), ids=QUEUES.keys())
def test_every_kind_of_queue_refuses_it_and_works_on(make):
    channel = make()
    with refused():
        channel.put([tensor()])
    sent = torch.arange(3.0)
    channel.put([sent])
    (received,) = channel.get()
    received.add_(1)
    assert sent.tolist() == [1, 2, 3]  # CPU tensors are shared as before


def test_a_full_queue_is_full_before_and_after():
    channel = spawning().Queue(maxsize=1)
    with refused():
        channel.put_nowait(tensor())
    channel.put_nowait(1)
    with pytest.raises(queue.Full):
        channel.put(2, False)
    assert channel.get(True, TIMEOUT) == 1


def test_what_cannot_be_pickled_at_all_is_reported_as_ever(capfd):
    channel = spawning().Queue()
    channel.put(lambda: None)
    channel.put(1)
    assert channel.get(timeout=TIMEOUT) == 1
    assert "pickle" in capfd.readouterr().err


@every_object
def test_a_pipe_refuses_it(make):
    _receiver, sender = spawning().Pipe()
    with refused():
        sender.send(make())


@every_object
@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_process_with_it_as_an_argument_does_not_start(make, method):
    process = mp.get_context(method).Process(target=print, args=(make(),))
    with refused():
        process.start()


def test_processes_of_mp_spawn_do_not_start():
    with refused():
        mp.spawn(print, args=(tensor(),), nprocs=2)


def doubled(value):
    return 2 * value


def made_there(_index):
    return torch.ones(2, device="npu")


def test_a_pool_refuses_it_as_an_argument_and_as_a_result():
    with spawning().Pool(1) as pool:
        with refused():
            pool.apply_async(doubled, (tensor(),)).get(TIMEOUT)
        with pytest.raises(Exception, match=r"npu:0 cannot be sent to another process"):
            pool.apply_async(made_there, (0,)).get(TIMEOUT)
        assert pool.apply_async(doubled, (torch.ones(2),)).get(TIMEOUT).tolist() == [2, 2]


def test_an_executor_gives_the_error_to_the_future():
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=spawning()) as executor:
        with refused():
            executor.submit(doubled, tensor()).result(TIMEOUT)
        with pytest.raises(Exception, match=r"npu:0 cannot be sent to another process"):
            executor.submit(made_there, 0).result(TIMEOUT)
        assert executor.submit(doubled, torch.ones(2)).result(TIMEOUT).tolist() == [2, 2]


def put_and_report(channel, value):
    try:
        channel.put(value)
    except RuntimeError as error:
        channel.put(str(error))


def test_a_forked_process_is_told_so_too():
    channel = mp.get_context("fork").Queue()
    process = mp.get_context("fork").Process(target=put_and_report, args=(channel, tensor()))
    process.start()
    assert ".cpu()" in channel.get(timeout=TIMEOUT)
    process.join(TIMEOUT)
    assert process.exitcode == 0


class OnTheDevice(torch.utils.data.Dataset):
    def __len__(self):
        return 2

    def __getitem__(self, index):
        return torch.ones(2, device="npu")


def test_a_worker_that_loads_data_to_the_device_ends_with_the_error(capfd):
    loader = torch.utils.data.DataLoader(OnTheDevice(), num_workers=1, multiprocessing_context="spawn")
    with pytest.raises(RuntimeError):
        list(loader)
    assert ".cpu()" in capfd.readouterr().err


def test_a_copy_on_the_cpu_arrives():
    channel = spawning().Queue()
    channel.put(tensor().cpu())
    assert torch.equal(channel.get(timeout=TIMEOUT), torch.arange(6.0).reshape(2, 3))

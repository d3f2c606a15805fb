"""Processes and threads: fork before and after use, spawn, threads with devices and streams of their own."""

import threading

import torch
from npu_testing import output, run

FORK_AFTER_USE = """
import os, torch, torch_npu
x = torch.ones(2).npu()
pid = os.fork()
if pid == 0:
    answers = [torch.npu.device_count(), torch.npu.is_available(), torch.npu._is_in_bad_fork()]
    for use in (lambda: torch.ones(2).npu(), lambda: x + 1, lambda: torch.npu.synchronize()):
        try:
            use()
        except RuntimeError as error:
            answers.append("spawn" in str(error))
    torch.manual_seed(1)
    print(answers, flush=True)
    os._exit(0)
_, status = os.waitpid(pid, 0)
print(status, (x + 1).tolist())
"""


def test_a_child_forked_after_use_gets_an_error_that_names_spawn_and_does_not_hang():
    child, parent = output(FORK_AFTER_USE).splitlines()
    assert child == "[0, False, True, True, True, True]"
    assert parent == "0 [2.0, 2.0]"


def test_a_forked_child_ends_cleanly_with_tensors_and_exit_handlers():
    code = (
        "import os, sys, torch, torch_npu\n"
        "x = torch.ones(2).npu(); event = torch.npu.Event(); event.record()\n"
        "pid = os.fork()\n"
        "if pid == 0:\n    del x, event\n    sys.exit(3)\n"
        "print(os.WEXITSTATUS(os.waitpid(pid, 0)[1]), x.tolist())"
    )
    assert output(code) == "3 [1.0, 1.0]"


def test_a_child_forked_before_use_can_use_the_device():
    code = (
        "import os, torch, torch_npu\n"
        "torch.manual_seed(0)\n"
        "pid = os.fork()\n"
        "if pid == 0:\n    print(torch.ones(2).npu().tolist(), flush=True)\n    os._exit(0)\n"
        "print(os.waitpid(pid, 0)[1], (torch.ones(2).npu() + 1).tolist())"
    )
    assert output(code) == "[1.0, 1.0]\n0 [2.0, 2.0]"


POOL = """
import torch, torch_npu
import torch.multiprocessing as multiprocessing

def work(index):
    return (torch.ones(2, device=f"npu:{index}") * 3).cpu().tolist()

if __name__ == "__main__":
    torch.ones(1).npu()
    with multiprocessing.get_context("METHOD").Pool(2) as pool:
        print(pool.map_async(work, [0, 1]).get(timeout=90))
"""


def test_spawned_workers_use_the_devices(tmp_path):
    script = tmp_path / "pool.py"
    script.write_text(POOL.replace("METHOD", "spawn"))
    assert output(str(script), arguments=()) == "[[3.0, 3.0], [3.0, 3.0]]"


def test_forked_workers_hand_the_error_to_their_parent(tmp_path):
    script = tmp_path / "pool.py"
    script.write_text(POOL.replace("METHOD", "fork"))
    done = run(str(script), arguments=())
    assert done.returncode == 1
    assert "RuntimeError" in done.stderr
    assert "spawn" in done.stderr.splitlines()[-1]


def in_thread(function):
    answers = []

    def work():
        try:
            answers.append(function())
        except BaseException as error:  # handed to the test, which fails with it
            answers.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(60)
    assert answers, "the thread did not end within a minute"
    if isinstance(answers[0], BaseException):
        raise answers[0]
    return answers[0]


def test_a_thread_starts_on_device_0_and_changes_only_its_own():
    def other():
        before = torch.npu.current_device()
        torch.npu.set_device(1)
        return before, torch.ones(2, device="npu").device.index

    torch.npu.set_device(1)
    assert in_thread(lambda: torch.npu.current_device()) == 0
    torch.npu.set_device(0)
    assert in_thread(other) == (0, 1)
    assert torch.npu.current_device() == 0


def test_a_thread_has_its_own_current_stream():
    def other():
        return torch.npu.current_stream().stream_id

    with torch.npu.stream(torch.npu.Stream()):
        assert in_thread(other) == 0


def test_an_event_orders_work_of_two_threads():
    produced, event = [], torch.npu.Event()

    def produce():
        with torch.npu.stream(torch.npu.Stream()):
            x = torch.ones(300, 300, device="npu")
            for _ in range(4):
                x = x @ x / 300
            produced.append(x * 5)
            event.record()

    in_thread(produce)
    event.wait()
    assert (produced[0] + 1).sum().item() == 6 * 300 * 300


def test_many_threads_compute_at_once():
    def compute(seed):
        device = f"npu:{seed % 2}"
        x = torch.full((64, 64), float(seed), device=device)
        for _ in range(20):
            x = (x @ torch.eye(64, device=device)).relu()
        return x.sum().item()

    answers = {}
    threads = [
        threading.Thread(target=lambda seed=seed: answers.update({seed: compute(seed)})) for seed in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert answers == {seed: seed * 64.0 * 64 for seed in range(8)}


def test_a_thread_still_running_at_exit_does_not_hang_the_process():
    """Flushed: Python may end such a thread within torch, and the process with it (also with CPU tensors)."""
    code = (
        "import threading, torch, torch_npu\n"
        "x = torch.ones(8).npu()\n"
        "def work():\n    while True:\n        x.add_(1)\n"
        "threading.Thread(target=work, daemon=True).start()\n"
        "print('done', flush=True)"
    )
    assert run(code).stdout.strip() == "done"


def test_tensors_that_outlive_the_backend_are_harmless():
    code = (
        "import builtins, torch, torch_npu\n"
        "builtins.tensor, builtins.event = torch.ones(8).npu(), torch.npu.Event()\n"
        "builtins.event.record()\n"
        "print('done')"
    )
    done = run(code)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "done", "")

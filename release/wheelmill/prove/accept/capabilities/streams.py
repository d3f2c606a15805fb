"""Streams, events, and the order that they give."""

from __future__ import annotations

import threading

import torch
from harness import Group, offered

group = Group("streams")
DEVICE = group.device
LONG = 1 << 20


def busy(steps: int = 20) -> torch.Tensor:
    """Work that takes a stream a moment; every element ends as `steps`."""
    x = torch.zeros(LONG, device=DEVICE)
    for _ in range(steps):
        x.add_(1)
    return x


@group.check
def operators_of_one_stream_are_in_order() -> None:
    x = torch.zeros(4096, device=DEVICE)
    for number in range(200):
        x.add_(1) if number % 2 else x.mul_(2)
    expected = torch.zeros(4096)
    for number in range(200):
        expected.add_(1) if number % 2 else expected.mul_(2)
    assert torch.equal(x.cpu(), expected)


@group.check
def the_current_stream_is_the_default_one() -> None:
    assert torch.npu.current_stream() == torch.npu.default_stream()


@group.check
def a_stream_is_current_within_its_context_only() -> None:
    before, stream = torch.npu.current_stream(), torch.npu.Stream()
    with torch.npu.stream(stream):
        assert torch.npu.current_stream() == stream
        with torch.npu.stream(None):
            assert torch.npu.current_stream() == stream
    assert torch.npu.current_stream() == before


@group.check
def set_stream_and_back() -> None:
    before, stream = torch.npu.current_stream(), torch.npu.Stream()
    torch.npu.set_stream(stream)
    assert torch.npu.current_stream() == stream
    torch.npu.set_stream(before)
    assert torch.npu.current_stream() == before


@group.check
def streams_differ() -> None:
    first, second = torch.npu.Stream(), torch.npu.Stream()
    assert first != second
    assert first.device.type == "npu"


@group.check
def work_of_a_second_stream_is_there_after_its_synchronize() -> None:
    stream = torch.npu.Stream()
    with torch.npu.stream(stream):
        x = busy()
    stream.synchronize()
    assert stream.query()
    assert (x.cpu() == 20).all()


@group.check
def a_stream_waits_for_another() -> None:
    first, second = torch.npu.Stream(), torch.npu.Stream()
    with torch.npu.stream(first):
        x = busy()
    second.wait_stream(first)
    with torch.npu.stream(second):
        y = x * 2
    x.record_stream(second)
    second.synchronize()
    assert (y.cpu() == 40).all()


@group.check
def a_stream_waits_for_an_event() -> None:
    first, second = torch.npu.Stream(), torch.npu.Stream()
    event = torch.npu.Event()
    with torch.npu.stream(first):
        x = busy()
        event.record()
    second.wait_event(event)
    with torch.npu.stream(second):
        y = x + 1
    x.record_stream(second)
    second.synchronize()
    assert (y.cpu() == 21).all()


@group.check
def an_event_that_waits_itself() -> None:
    stream, event = torch.npu.Stream(), torch.npu.Event()
    x = busy()
    event.record()
    event.wait(stream)
    with torch.npu.stream(stream):
        y = x - 1
    torch.npu.synchronize()
    assert (y.cpu() == 19).all()


@group.check
def an_events_synchronize_waits_for_what_was_before_it() -> None:
    event = torch.npu.Event()
    x = busy()
    event.record()
    event.synchronize()
    assert event.query()
    assert (x.cpu() == 20).all()


@group.check
def an_event_that_was_never_recorded_is_done() -> None:
    assert torch.npu.Event().query()


@group.check
def elapsed_time_is_not_negative() -> None:
    start, end = torch.npu.Event(enable_timing=True), torch.npu.Event(enable_timing=True)
    start.record()
    busy()
    end.record()
    end.synchronize()
    assert 0 < start.elapsed_time(end) < 60_000, start.elapsed_time(end)


@group.check
def an_event_is_recorded_again() -> None:
    event = torch.npu.Event()
    for _ in range(3):
        x = busy(5)
        event.record()
        event.synchronize()
        assert (x.cpu() == 5).all()


@group.check
def a_ring_of_streams() -> None:
    streams = [torch.npu.Stream() for _ in range(4)]
    x = torch.zeros(LONG, device=DEVICE)
    torch.npu.synchronize()
    for number in range(12):
        current, before = streams[number % 4], streams[(number - 1) % 4]
        current.wait_stream(before)
        with torch.npu.stream(current):
            x.add_(1) if number % 3 else x.mul_(2).add_(1)
    torch.npu.synchronize()
    expected = 0
    for number in range(12):
        expected = expected + 1 if number % 3 else expected * 2 + 1
    assert (x.cpu() == expected).all(), (x[0].item(), expected)


@group.check
def many_streams_at_once() -> None:
    streams, results = [torch.npu.Stream() for _ in range(8)], []
    for number, stream in enumerate(streams):
        with torch.npu.stream(stream):
            results.append(torch.full((LONG // 8,), float(number), device=DEVICE).mul_(2))
    torch.npu.synchronize()
    assert [x[0].item() for x in results] == [2.0 * number for number in range(8)]


@group.check
def memory_that_another_stream_uses_is_not_given_away() -> None:
    stream = torch.npu.Stream()
    x = busy(2)
    stream.wait_stream(torch.npu.current_stream())
    with torch.npu.stream(stream):
        for _ in range(20):
            y = x * 3
    x.record_stream(stream)
    del x
    torch.full((LONG,), -1.0, device=DEVICE)
    stream.synchronize()
    assert (y.cpu() == 6).all()


@group.check
def synchronize_of_the_device_waits_for_all_streams() -> None:
    stream = torch.npu.Stream()
    with torch.npu.stream(stream):
        x = busy()
    torch.npu.synchronize()
    assert stream.query()
    assert (x.cpu() == 20).all()


@group.check
def a_stream_of_high_priority() -> None:
    with torch.npu.stream(torch.npu.Stream(priority=-1)):
        x = busy(3)
    torch.npu.synchronize()
    assert (x.cpu() == 3).all()


@group.check
def every_thread_has_its_own_current_stream() -> None:
    stream, seen = torch.npu.Stream(), []

    def other() -> None:
        torch.npu.set_device(0)
        seen.append(torch.npu.current_stream() == torch.npu.default_stream())

    with torch.npu.stream(stream):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert seen == [True]


@group.check
def backward_runs_on_the_streams_of_the_forward() -> None:
    stream = torch.npu.Stream()
    x = torch.ones(LONG, device=DEVICE, requires_grad=True)
    stream.wait_stream(torch.npu.current_stream())
    with torch.npu.stream(stream):
        y = (x * 3).sum()
    torch.npu.current_stream().wait_stream(stream)
    y.backward()
    torch.npu.synchronize()
    assert (x.grad.cpu() == 3).all()


@group.check
def the_second_device_has_streams_of_its_own() -> None:
    offered(torch.npu.device_count() > 1, "a second device is not visible")
    with torch.npu.device(1):
        stream = torch.npu.Stream()
        with torch.npu.stream(stream):
            x = torch.ones(LONG, device="npu:1").mul_(4)
        stream.synchronize()
    assert (x.cpu() == 4).all()
    assert torch.npu.current_device() == 0


@group.check
def an_item_waits_for_what_was_asked_before() -> None:
    assert busy(50)[LONG - 1].item() == 50


if __name__ == "__main__":
    group.main()

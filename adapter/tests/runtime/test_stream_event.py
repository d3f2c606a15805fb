"""Streams and events. The event class for torch before 2.6 needs only the library and is tested here too."""

import pytest
import torch
from npu_testing import PIN
from torch_npu.npu import streams
from torch_npu.npu._events import DEVICE_GENERIC, OperatorEvent

#: On torch before 2.6 these are the same class.
each_event = pytest.mark.parametrize(
    "event_class", [OperatorEvent, torch.npu.Event], ids=["operators", "public"]
)


def heavy(size=700):
    """A product that keeps a stream busy for a while, and what it is."""
    x = torch.full((size, size), 0.5, device="npu")
    for _ in range(4):
        x = (x @ x) / (size * 0.25)
    return x


def test_a_new_stream_is_none_that_was_current():
    first, second = torch.npu.Stream(), torch.npu.Stream(1)
    assert first.device == torch.device("npu:0")
    assert second.device == torch.device("npu:1")
    assert first.stream_id != 0
    assert torch.npu.current_stream().stream_id == 0
    assert first.npu_stream != torch.npu.Stream(stream_id=0).npu_stream


def test_equality_is_the_name():
    stream = torch.npu.Stream()
    again = torch.npu.Stream(stream_id=stream.stream_id)
    assert stream == again
    assert hash(stream) == hash(again)
    assert stream != torch.npu.Stream(stream_id=0)
    assert stream != torch.npu.Stream(1, stream_id=stream.stream_id)
    assert stream != "stream"
    assert f"stream_id={stream.stream_id}" in repr(stream)
    assert "npu:0" in repr(stream)


def test_a_high_priority_stream_is_of_another_pool():
    normal = {torch.npu.Stream(priority=0).stream_id for _ in range(3)}
    high = {torch.npu.Stream(priority=-1).stream_id for _ in range(3)}
    assert normal.isdisjoint(high)


def test_the_context_makes_stream_and_device_current_and_restores_both():
    stream = torch.npu.Stream(1)
    with torch.npu.stream(stream):
        assert torch.npu.current_device() == 1
        assert torch.npu.current_stream().stream_id == stream.stream_id
        with torch.npu.stream(None):
            assert torch.npu.current_stream().stream_id == stream.stream_id
    assert torch.npu.current_device() == 0
    assert torch.npu.current_stream(1) == torch.npu.default_stream(1)


def test_set_stream_stays():
    stream = torch.npu.Stream(1)
    torch.npu.set_stream(stream)
    assert (torch.npu.current_device(), torch.npu.current_stream()) == (1, stream)
    torch.npu.set_stream(torch.npu.default_stream(1))
    torch.npu.set_stream(None)
    assert torch.npu.current_stream() == torch.npu.default_stream(1)


def test_work_on_a_stream_is_done_after_synchronize():
    stream = torch.npu.Stream()
    x = torch.ones(300, 300, device="npu")
    stream.wait_stream(torch.npu.Stream(stream_id=0))
    with torch.npu.stream(stream):
        y = x @ x
        host = torch.empty(300, 300).pin_memory(**PIN)
        host.copy_(y, non_blocking=True)
    stream.synchronize()
    assert stream.query() is True
    assert torch.equal(host, torch.full((300, 300), 300.0))


@each_event
def test_wait_event_orders_two_streams(event_class):
    producer, consumer = torch.npu.Stream(), torch.npu.Stream()
    torch.npu.synchronize()
    with torch.npu.stream(producer):
        x = heavy()
        ready = producer.record_event(event_class())
    consumer.wait_event(ready)
    with torch.npu.stream(consumer):
        y = x + 1
        x.record_stream(torch.npu.current_stream())
    consumer.synchronize()
    assert ready.query() is True
    torch.testing.assert_close(y.cpu(), heavy().cpu() + 1)


def test_wait_stream_orders_two_streams():
    producer, consumer = torch.npu.Stream(), torch.npu.Stream()
    torch.npu.synchronize()
    with torch.npu.stream(producer):
        x = heavy()
    consumer.wait_stream(producer)
    with torch.npu.stream(consumer):
        y = x * 2
    torch.npu.synchronize()
    torch.testing.assert_close(y, heavy() * 2)


@each_event
def test_an_event_never_recorded_counts_as_reached(event_class):
    event = event_class()
    assert event.query() is True
    event.synchronize()
    event.wait()


@each_event
def test_elapsed_time_is_positive_over_work(event_class):
    start, end = event_class(enable_timing=True), event_class(enable_timing=True)
    start.record()
    heavy()
    end.record()
    end.synchronize()
    assert start.elapsed_time(end) > 0


@each_event
def test_elapsed_time_needs_timing_on_both(event_class):
    start, end = event_class(enable_timing=True), event_class()
    start.record()
    end.record()
    end.synchronize()
    with pytest.raises((ValueError, RuntimeError), match=r"(?i)timing"):
        start.elapsed_time(end)


@each_event
def test_an_event_is_recorded_on_the_stream_given(event_class):
    stream = torch.npu.Stream(1)
    event = event_class()
    event.record(stream)
    event.synchronize()
    assert event.query() is True
    with pytest.raises(RuntimeError, match=r"npu:|device"):
        event.record(torch.npu.Stream(0))


@each_event
def test_events_between_processes_are_refused(event_class):
    with pytest.raises(ValueError, match="interprocess=False"):
        event_class(interprocess=True)


@each_event
def test_many_events_and_streams_come_and_go(event_class):
    for _ in range(200):
        event = event_class()
        event.record(torch.npu.Stream())
        event.wait(torch.npu.Stream())
    torch.npu.synchronize()
    assert event.query() is True


def test_the_public_classes_are_the_ones_for_this_torch():
    assert torch.npu.Stream is streams.Stream
    assert torch.npu.Event is streams.Event
    assert isinstance(torch.npu.current_stream(), torch.npu.Stream)


@pytest.mark.skipif(not DEVICE_GENERIC, reason="torch.Stream and torch.Event are CUDA's alone before 2.6")
def test_torchs_own_stream_and_event_serve_the_device():
    stream = torch.Stream("npu:1")
    assert isinstance(torch.npu.Event(), torch.Event)
    with torch.npu.stream(stream):
        event = torch.Event("npu")
        event.record(stream)
    event.synchronize()
    assert event.query() is True

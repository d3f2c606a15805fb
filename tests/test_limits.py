"""Files are read as far as they may be, and no more memory is asked for than they have bytes."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest
from wheelmill.limits import MAX_INDEX, read_regular


def test_a_small_file_takes_little_memory_however_large_it_may_be(tmp_path: Path) -> None:
    (tmp_path / "page").write_bytes(b"x" * 1000)
    tracemalloc.start()
    content = read_regular(tmp_path / "page", MAX_INDEX)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert content == b"x" * 1000
    assert peak < 1 << 20


def test_a_file_whose_size_is_not_told_is_read_to_its_end() -> None:
    assert Path("/proc/self/status").stat().st_size == 0
    assert read_regular("/proc/self/status", 1 << 20).startswith(b"Name:")
    assert b"\nThreads:" in read_regular("/proc/self/status", 1 << 20)


@pytest.mark.parametrize("size", [0, 9, 10])
def test_a_file_may_have_as_many_bytes_as_are_allowed(tmp_path: Path, size: int) -> None:
    (tmp_path / "file").write_bytes(b"x" * size)
    assert len(read_regular(tmp_path / "file", 10)) == size
    assert len(read_regular(tmp_path / "file", 10, cut=True)) == size


def test_a_longer_file_is_refused_or_cut(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 11)
    with pytest.raises(OSError, match="more than 10 bytes"):
        read_regular(tmp_path / "file", 10)
    assert read_regular(tmp_path / "file", 10, cut=True) == b"x" * 10

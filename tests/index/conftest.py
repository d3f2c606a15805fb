"""Indexes of small real wheels, served over HTTP on loopback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime, timezone
from pathlib import Path

import pytest
from wheelmill.publish.index import IndexServer, Request, WheelRecord, build_index

from tests.wheels import Draft

MOMENT = datetime(2024, 3, 1, 12, 30, 0, 123456, tzinfo=timezone.utc)


def record_of(draft: Draft, directory: Path, *, yanked: str | None = None) -> WheelRecord:
    """Write the draft and read it as the index does."""
    return WheelRecord.from_wheel(draft.write(directory), MOMENT, yanked=yanked)


def demo(version: str = "1.0", **changes: object) -> Draft:
    """A pure wheel `demo` whose module says its version."""
    draft = Draft(version=version, files={"demo.py": f"version = {version!r}\n".encode()})
    for name, value in changes.items():
        setattr(draft, name, value)
    return draft


class Served:
    """A running index: `url` for --index-url, `requests` for what clients asked."""

    def __init__(self, server: IndexServer, requests: list[Request], out: Path) -> None:
        self.url, self.base, self.requests, self.out = server.simple_url, server.url, requests, out


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """served(record, ...) -> the index of these records, served until the test ends."""
    with ExitStack() as stack:

        def start(*records: WheelRecord) -> Served:
            out = tmp_path / "index"
            build_index(records, out)
            requests: list[Request] = []
            server = stack.enter_context(IndexServer(out, listener=requests.append))
            return Served(server, requests, out)

        yield start

"""The store keeps what it said it kept, whoever is killed and whatever the disk does."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from wheelmill.store import Store, StoreError, digest_file

# Puts and records without end; each whole step is reported, so the test knows what must be there afterwards.
WRITER = """
import os, sys
from pathlib import Path
from wheelmill.store import Store
store = Store(Path(sys.argv[1]))
number = 0
while True:
    number += 1
    content = os.urandom(1 + number * 997 % 300_000)
    digest = store.put(content)
    store.record("bundle", f"{os.getpid()}-{number}", digest=digest, padding="x" * (number * 131 % 5000))
    print(digest, number, flush=True)
"""


def start_writer(root: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(root)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def assert_sound(root: Path) -> None:
    """Every object has the content of its name, every record is whole and its object is there."""
    store = Store(root)
    for path in (root / "objects").glob("??/*"):
        assert digest_file(path) == path.name
    for record in store.records():
        store.get(record.data["digest"], verify=True)


def test_killed_writers_lose_nothing_that_was_reported(tmp_path: Path) -> None:
    seed = random.Random(7)
    reported = []
    for _ in range(12):
        writers = [start_writer(tmp_path), start_writer(tmp_path)]
        time.sleep(0.25 + seed.random() * 0.3)
        for writer in writers:
            writer.send_signal(signal.SIGKILL)
        for writer in writers:
            out, _ = writer.communicate()
            reported += [line.split()[0] for line in out.splitlines(keepends=True) if line.endswith("\n")]
        assert_sound(tmp_path)
    assert len(reported) > 50, "the writers were killed before they wrote"
    known = {record.data["digest"] for record in Store(tmp_path).records()}
    assert set(reported) <= known


def test_a_torn_last_line_is_dropped_and_written_over(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.record("wheel", "first", digest="a")
    whole = (tmp_path / "journal.jsonl").read_bytes()
    (tmp_path / "journal.jsonl").write_bytes(whole + b'{"kind":"wheel","key":"torn","ti')
    reopened = Store(tmp_path)
    assert [record.key for record in reopened.records()] == ["first"]
    reopened.record("wheel", "second", digest="b")
    assert [json.loads(line)["key"] for line in (tmp_path / "journal.jsonl").open()] == ["first", "second"]
    assert [record.key for record in store.records()] == ["first", "second"]


def test_a_damaged_line_inside_is_an_error_that_names_it(tmp_path: Path) -> None:
    Store(tmp_path).record("wheel", "first", digest="a")
    with (tmp_path / "journal.jsonl").open("ab") as out:
        out.write(b"\x00\x00 not a record\n")
    with pytest.raises(StoreError, match="record 2: this line is not a record"):
        Store(tmp_path).find("wheel", "first")


def test_the_last_record_wins_and_other_processes_are_seen(tmp_path: Path) -> None:
    mine, other = Store(tmp_path), Store(tmp_path)
    mine.record("audit", "w", verdict="refused")
    assert other.find("audit", "w") is not None
    other.record("audit", "w", verdict="passed")
    found = mine.find("audit", "w")
    assert found is not None
    assert found.data == {"verdict": "passed"}
    assert mine.find("smoke", "w") is None
    assert [record.data["verdict"] for record in mine.records("audit")] == ["refused", "passed"]


def test_damage_is_found_and_the_content_can_be_put_again(tmp_path: Path) -> None:
    store = Store(tmp_path)
    digest = store.put(b"content")
    path = store.get(digest)
    path.chmod(0o644)
    path.write_bytes(b"cOntent")
    with pytest.raises(StoreError, match="is damaged"):
        store.get(digest, verify=True)
    assert not store.has(digest)
    assert store.put(b"content") == digest
    assert store.get(digest, verify=True).read_bytes() == b"content"


def test_export_names_the_content_and_replaces_an_older_one(tmp_path: Path) -> None:
    store = Store(tmp_path / "mill")
    first, second = store.put(b"one"), store.put(b"two")
    path = store.export(first, tmp_path / "out", "x.whl")
    assert path.read_bytes() == b"one"
    assert store.export(second, tmp_path / "out", "x.whl").read_bytes() == b"two"
    assert [entry.name for entry in (tmp_path / "out").iterdir()] == ["x.whl"]
    assert store.get(first, verify=True).read_bytes() == b"one"


def test_a_name_that_is_no_digest_never_becomes_a_path(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="not a SHA-256"):
        Store(tmp_path).get("../../etc/passwd")


def test_a_disk_that_refuses_is_one_clear_error(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(StoreError, match="cannot write to the store"):
        Store(blocked).put(b"content")


def test_a_full_disk_leaves_the_journal_as_it_was(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.record("wheel", "first", digest="a")
    before = (tmp_path / "journal.jsonl").read_bytes()
    # A file size limit makes the kernel cut the write short exactly as a full disk does.
    code = f"""
import resource, signal
from pathlib import Path
from wheelmill.store import Store, StoreError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({len(before) + 10}, {len(before) + 10}))
try:
    Store(Path({str(tmp_path)!r})).record("wheel", "second", digest="b")
except StoreError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "cannot append to" in done.stdout
    assert (tmp_path / "journal.jsonl").read_bytes() == before


def test_the_second_holder_waits_and_says_for_whom(tmp_path: Path) -> None:
    code = f"""
import sys
from pathlib import Path
from wheelmill.store import Store
with Store(Path({str(tmp_path)!r})).lock("bundle-x"):
    print("held", flush=True)
    sys.stdin.read()
"""
    holder = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    heard: list[str] = []

    def waiting(text: str) -> None:
        heard.append(text)
        os.kill(holder.pid, signal.SIGKILL)  # a killed holder leaves no lock behind

    with Store(tmp_path).lock("bundle-x", waiting=waiting):
        assert len(heard) == 1
        assert f"process {holder.pid}" in heard[0]
    holder.communicate()

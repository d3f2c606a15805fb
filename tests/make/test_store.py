"""The store keeps what it said it kept, whoever is killed and whatever the disk does."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from wheelmill.store import Lock, Store, StoreError, digest_file
from wheelmill.store.holder import this_owner
from wheelmill.store.lock import held_by

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
    store.record("made-bundle", f"{os.getpid()}-{number}", digest=digest, padding="x" * (number * 131 % 5000))
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
        store.get(record.data["digest"])


def test_killed_writers_lose_nothing_that_was_reported(tmp_path: Path) -> None:
    seed = random.Random(7)
    reported = []
    for _ in range(12):
        writers = [start_writer(tmp_path), start_writer(tmp_path)]
        for writer in writers:  # both are at work, however busy the machine is
            assert writer.stdout is not None
            reported.append(writer.stdout.readline().split()[0])
        time.sleep(seed.random() * 0.3)
        for writer in writers:
            writer.send_signal(signal.SIGKILL)
        for writer in writers:
            out, _ = writer.communicate()
            reported += [line.split()[0] for line in out.splitlines(keepends=True) if line.endswith("\n")]
        assert_sound(tmp_path)
    assert len(reported) >= 24, "the writers were killed before they wrote"
    known = {record.data["digest"] for record in Store(tmp_path).records()}
    assert set(reported) <= known


def test_a_torn_last_line_is_dropped_and_written_over(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.record("made-wheel", "first", digest="a")
    whole = (tmp_path / "journal.jsonl").read_bytes()
    (tmp_path / "journal.jsonl").write_bytes(whole + b'{"kind":"made-wheel","key":"torn","ti')
    reopened = Store(tmp_path)
    assert [record.key for record in reopened.records()] == ["first"]
    reopened.record("made-wheel", "second", digest="b")
    assert [json.loads(line)["key"] for line in (tmp_path / "journal.jsonl").open()] == ["first", "second"]
    assert [record.key for record in store.records()] == ["first", "second"]


def told(root: Path) -> tuple[Store, list[str]]:
    """A store opened anew, and what it tells."""
    heard: list[str] = []
    return Store(root, notice=heard.append), heard


@pytest.mark.parametrize(
    "line", [b"\x00\x00 not a record", b"[" * 100_000, b'{"kind":[],"key":"k","time":1,"data":{}}', b"7"]
)
def test_a_damaged_line_is_told_with_its_number_and_the_rest_is_read(tmp_path: Path, line: bytes) -> None:
    Store(tmp_path).record("made-wheel", "first", digest="a")
    with (tmp_path / "journal.jsonl").open("ab") as out:
        out.write(line + b"\n")
    Store(tmp_path).record("made-wheel", "third", digest="c")
    store, heard = told(tmp_path)
    assert [record.key for record in store.records()] == ["first", "third"]
    assert len(heard) == 1
    assert "line 2 is not what was written" in heard[0]


def test_no_flipped_bit_of_a_record_is_believed(tmp_path: Path) -> None:
    """Whatever bit it is: the record is told and left out, or says what it said."""
    Store(tmp_path).record("made-audit", "key", digest="0" * 64, releasable=False)
    journal = tmp_path / "journal.jsonl"
    whole = journal.read_bytes()
    (written,) = Store(tmp_path).records()
    for bit in range((len(whole) - 1) * 8):
        data = bytearray(whole)
        data[bit // 8] ^= 1 << bit % 8
        journal.write_bytes(data)
        store, heard = told(tmp_path)
        assert [record for record in store.records() if record != written] == []
        assert heard or list(store.records()) == [written], f"bit {bit} took the record away in silence"


def test_records_without_a_checksum_are_read(tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").write_text('{"data":{"n":1},"key":"old","kind":"made-wheel","time":1.5}\n')
    store, heard = told(tmp_path)
    assert [(record.key, record.data) for record in store.records()] == [("old", {"n": 1})]
    assert heard == []


def test_a_long_tail_of_zeros_is_cut_off_in_one_go(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.record("made-wheel", "first", digest="a")
    with (tmp_path / "journal.jsonl").open("ab") as out:
        out.write(bytes(20 << 20))  # what a power failure leaves of a file that had grown
    store.record("made-wheel", "second", digest="b")
    assert [record.key for record in Store(tmp_path).records()] == ["first", "second"]
    assert (tmp_path / "journal.jsonl").stat().st_size < 1000


def test_the_last_record_wins_and_other_processes_are_seen(tmp_path: Path) -> None:
    mine, other = Store(tmp_path), Store(tmp_path)
    mine.record("made-audit", "w", verdict="refused")
    assert other.find("made-audit", "w") is not None
    other.record("made-audit", "w", verdict="passed")
    found = mine.find("made-audit", "w")
    assert found is not None
    assert found.data == {"verdict": "passed"}
    assert mine.find("made-smoke", "w") is None
    assert [record.data["verdict"] for record in mine.records("made-audit")] == ["refused", "passed"]


def flip(path: Path) -> None:
    """One bit, as a disk does it: name, size and mode stay."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)


def cut(path: Path) -> None:
    """Half of it is gone."""
    path.chmod(0o644)
    os.truncate(path, path.stat().st_size // 2)


def swap(path: Path) -> None:
    """Another file's content under this name."""
    path.unlink()
    path.write_bytes(b"another one, as whole as this one was")


def block(path: Path) -> None:
    """A folder in its place cannot be read, whoever one is."""
    path.unlink()
    path.mkdir()


def loop(path: Path) -> None:
    """A link to itself: opening it fails."""
    path.unlink()
    path.symlink_to(path)


def pipe(path: Path) -> None:
    """Opening it would wait for a writer that never comes."""
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("damage", [flip, cut, swap, block, loop, pipe])
@pytest.mark.parametrize("used", ["has", "get", "put", "export"])
def test_every_use_finds_damage_and_the_content_can_be_put_again(
    tmp_path: Path, used: str, damage: Callable[[Path], None]
) -> None:
    digest = Store(tmp_path).put(b"content of a file")
    path = Store(tmp_path).get(digest)
    damage(path)
    store, heard = told(tmp_path)
    if used == "has":
        assert not store.has(digest)
    elif used == "put":
        assert store.put(b"content of a file") == digest
    else:
        with pytest.raises(StoreError, match=r"the store has no file with SHA-256 .* it was damaged"):
            store.get(digest) if used == "get" else store.export(digest, tmp_path / "out", "x")
    assert len(heard) == 1
    assert f"damaged: {path} " in heard[0]
    assert [entry.name for entry in (tmp_path / "damaged").iterdir()] == [digest]
    assert store.put(b"content of a file") == digest
    assert store.get(digest).read_bytes() == b"content of a file"
    assert len(heard) == 1


def test_a_file_that_was_right_and_is_damaged_later_is_found_by_the_same_store(tmp_path: Path) -> None:
    store, heard = told(tmp_path)
    digest = store.put(b"content of a file")
    path = store.get(digest)
    old = time.time() - 1000
    for _ in range(3):
        about = path.stat()
        assert store.has(digest)
        flip(path)
        os.utime(path, (old, about.st_mtime))  # a change that hides its time
        assert not store.has(digest)
        store.put(b"content of a file")
    assert len(heard) == 3
    assert sorted(entry.name for entry in (tmp_path / "damaged").iterdir()) == [
        digest,
        f"{digest}.1",
        f"{digest}.2",
    ]


def test_a_store_restored_with_other_times_modes_and_no_links_is_whole(tmp_path: Path) -> None:
    store = Store(tmp_path / "mill")
    digest = store.put(b"content")
    exported = store.export(digest, store.root / "out", "x.whl")
    for path in (store.get(digest), exported):
        path.unlink()
        path.write_bytes(b"content")
        path.chmod(0o600)
        os.utime(path, (0, 0))
    restored, heard = told(store.root)
    assert restored.has(digest)
    assert restored.export(digest, store.root / "out", "x.whl").read_bytes() == b"content"
    assert heard == []


def test_what_people_change_in_a_copy_reaches_nothing_and_is_put_right(tmp_path: Path) -> None:
    store, heard = told(tmp_path)
    digest = store.put(b"content of a file")
    path = store.export(digest, tmp_path / "wheels", "x.whl", copy=True)
    flip(path)
    assert store.has(digest)
    assert store.export(digest, tmp_path / "wheels", "x.whl", copy=True).read_bytes() == b"content of a file"
    assert len(heard) == 1
    assert f"damaged: {path} has SHA-256" in heard[0]


def test_a_link_of_an_older_version_becomes_a_copy(tmp_path: Path) -> None:
    store, heard = told(tmp_path)
    digest = store.put(b"content")
    linked = store.export(digest, tmp_path / "wheels", "x.whl")
    assert linked.samefile(store.get(digest))
    assert not store.export(digest, tmp_path / "wheels", "x.whl", copy=True).samefile(store.get(digest))
    assert heard == []


def test_export_names_the_content_and_replaces_an_older_one(tmp_path: Path) -> None:
    store = Store(tmp_path / "mill")
    first, second = store.put(b"one"), store.put(b"two")
    path = store.export(first, tmp_path / "out", "x.whl")
    assert path.read_bytes() == b"one"
    assert store.export(second, tmp_path / "out", "x.whl").read_bytes() == b"two"
    assert [entry.name for entry in (tmp_path / "out").iterdir()] == ["x.whl"]
    assert store.get(first).read_bytes() == b"one"


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
    store.record("made-wheel", "first", digest="a")
    before = (tmp_path / "journal.jsonl").read_bytes()
    # A file size limit makes the kernel cut the write short exactly as a full disk does.
    code = f"""
import resource, signal
from pathlib import Path
from wheelmill.store import Store, StoreError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({len(before) + 10}, {len(before) + 10}))
try:
    Store(Path({str(tmp_path)!r})).record("made-wheel", "second", digest="b")
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


HOLDS = """
import subprocess, sys
from pathlib import Path
from wheelmill.store import Store
sys.argv = ["/somewhere/wheelmill", "build", "--url", "https://me:secret@example.org/"]
with Store(Path(ROOT)).lock("bundle-x") as lock:
    child = subprocess.Popen(["sleep", "600"], pass_fds=[lock.descriptor], stdout=subprocess.DEVNULL)
    print(child.pid, flush=True)
    sys.stdin.read()
"""


def test_a_lock_tells_whose_it_is_and_whether_the_process_runs(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.holder("bundle-x") is None
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS.replace("ROOT", repr(str(tmp_path)))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    child = int(process.stdout.readline())
    try:
        holder = store.holder("bundle-x")
        assert holder is not None
        assert (holder.pid, holder.owner, holder.runs) == (process.pid, this_owner(), True)
        assert holder.command == "wheelmill build --url https://***@example.org/"
        assert holder.since.endswith("Z")
        process.kill()
        process.communicate()
        left = store.holder("bundle-x")
        assert left == replace(holder, runs=False)
        assert "it has ended, and what it started still runs" in str(left)
    finally:
        os.kill(child, signal.SIGKILL)


@pytest.mark.parametrize(
    "said", ["", "12", "{", "[]", "{}", '{"pid": "x"}', '{"pid": 1, "owner": [], "mark": 2}']
)
def test_what_a_lock_s_file_says_is_not_believed(tmp_path: Path, said: str) -> None:
    with Lock(tmp_path / "lock") as lock:
        os.ftruncate(lock.descriptor, 0)
        os.pwrite(lock.descriptor, said.encode(), 0)
        holder = held_by(tmp_path / "lock")
    assert holder is not None
    assert holder.runs is None
    assert str(holder) in ("another process", "process 12", "process 1")


def test_who_looks_who_holds_a_lock_keeps_nobody_from_taking_it(tmp_path: Path) -> None:
    """Many looks at once, and a taker that does not wait."""
    path, ended = tmp_path / "lock", threading.Event()
    stop = threading.Event()
    stop.set()

    def look() -> None:
        while not ended.wait(0.001):
            held_by(path)

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(200):
            with Lock(path, stop=stop):
                pass
    finally:
        ended.set()
        for thread in threads:
            thread.join()


# -------------------------------------------------------------------------- records that somebody else wrote
DIGEST = "0" * 64
GOOD: dict[str, dict[str, object]] = {
    "bundle": {"digest": DIGEST, "log": "x.log"},
    "wheel": {"digest": DIGEST, "file": "demo-1.0-py3-none-any.whl"},
    "audit": {
        "digest": DIGEST,
        "file": "demo-1.0-py3-none-any.whl",
        "uploaded": "2024-01-01",
        "verdict": {},
        "summary": "",
    },
    "torch-sdk": {"sha256": DIGEST, "file": "torch-2.13.0-cp311-cp311-linux_x86_64.whl"},
    "sdk-tree": {"digest": DIGEST},
    "smoke": {"result": {"printed": ""}},
    "index": {"set": DIGEST, "tree": DIGEST},
    "release": {"at": "2024-01-15T12:00:00Z", "session": {}},
}


@pytest.mark.parametrize("kind", GOOD)
def test_a_record_without_what_its_kind_has_is_set_aside_with_its_line(tmp_path: Path, kind: str) -> None:
    """Its checksum is right: a cache that a CI restores may have been written by anybody."""
    good = GOOD[kind]
    for name, value in good.items():
        changes: list[object] = [None, 7, ["x"], {"x": 1} if not isinstance(value, dict) else "x"]
        changes += (
            ["../../evil.whl", "/etc/passwd", "a/b.whl", "", "..", "a\nb"] if name in ("file", "log") else []
        )
        changes += ["0" * 63, "../" + "0" * 61, "G" * 64] if name in ("digest", "sha256") else []
        for number, change in enumerate(changes):
            root = tmp_path / f"{name}-{number}"
            Store(root).record(kind, "key", **good)
            Store(root).record(kind, "key", **{**good, name: change})
            store, heard = told(root)
            assert [record.data for record in store.records(kind)] == [good], change
            assert len(heard) == 1, change
            assert "line 2 is not what was written" in heard[0]
        root = tmp_path / f"{name}-absent"
        Store(root).record(kind, "key", **{key: kept for key, kept in good.items() if key != name})
        assert list(told(root)[0].records(kind)) == []


def test_a_time_that_is_none_is_set_aside(tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").write_text(
        '{"data":{},"key":"k","kind":"x","time":"soon"}\n{"data":{},"key":"k","kind":"x","time":true}\n'
    )
    store, heard = told(tmp_path)
    assert (list(store.records()), len(heard)) == ([], 2)


@pytest.mark.parametrize(
    "name", ["../evil.whl", "/tmp/evil.whl", "a/b.whl", "", ".", "..", "a\0b", "x" * 300]
)
def test_no_file_is_written_outside_of_its_folder(tmp_path: Path, name: str) -> None:
    store = Store(tmp_path / "mill")
    digest = store.put(b"content")
    with pytest.raises(StoreError, match="is not the name of a file"):
        store.export(digest, tmp_path / "mill" / "out", name)
    assert [path.name for path in tmp_path.iterdir()] == ["mill"]


# ------------------------------------------------------------------------------------------- scratch folders
def test_what_a_killed_process_left_is_removed_and_what_is_in_use_stays(tmp_path: Path) -> None:
    code = f"""
import sys
from pathlib import Path
from wheelmill.store import Store
with Store(Path({str(tmp_path)!r})).scratch("wheel-") as folder:
    (folder / "half.whl").write_bytes(b"half")
    print("made", flush=True)
    sys.stdin.read()
"""
    holder = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "made\n"
    (tmp_path / "work" / "wheel-of-an-older-version").mkdir()
    with Store(tmp_path).scratch("wheel-") as mine:
        assert len(list((tmp_path / "work").glob("wheel-*"))) == 2
        assert mine.is_dir()
        holder.send_signal(signal.SIGKILL)
        holder.communicate()
        with Store(tmp_path).scratch("wheel-"):
            assert len(list((tmp_path / "work").glob("wheel-*"))) == 2
        assert mine.is_dir()
    assert list((tmp_path / "work").iterdir()) == []


# ---------------------------------------------------------------------------- places that no state can be in
@pytest.mark.parametrize(
    ("home", "said"),
    [
        ("FILE", "is not a folder"),
        ("FILE/below", "a part of that path is a file"),
        ("/dev/null", "is not a folder"),
        ("~no-such-user-here/x", "names no folder"),
        ("/proc/1/wheelmill", "cannot"),
    ],
)
def test_a_home_that_cannot_be_one_is_one_clear_error(tmp_path: Path, home: str, said: str) -> None:
    (tmp_path / "file").write_text("in the way")
    home = home.replace("FILE", str(tmp_path / "file"))
    environment = {**os.environ, "WHEELMILL_HOME": home}
    for words in (["audit"], ["index"]):
        command = [sys.executable, "-m", "wheelmill", *words]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert done.stderr.startswith("error: ")
        assert "Traceback" not in done.stderr
        assert said in done.stderr or "There is no wheel" in done.stderr, done.stderr


def test_a_store_of_another_user_is_one_clear_error(tmp_path: Path) -> None:
    """A folder that nobody may write; root may, so it is asked as somebody else where this is root."""
    home = tmp_path / "mill"
    Store(home).record("x", "k")
    for path in (home / "journal.jsonl", home):
        path.chmod(0o500 if path.is_dir() else 0o400)
    code = f"""
import os
from pathlib import Path
from wheelmill.store import Store, StoreError
if os.getuid() == 0:
    os.setuid(65534)
for use in (lambda s: s.record("x", "y"), lambda s: s.put(b"x"), lambda s: s.lock("l").__enter__()):
    try:
        use(Store(Path({str(home)!r})))
    except StoreError as error:
        print(error.hint)
"""
    for path in (tmp_path, *tmp_path.parents):
        if path.stat().st_uid == os.getuid() and "pytest" in str(path):
            path.chmod(0o755)
    home.chmod(0o555)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.count("set WHEELMILL_HOME to a folder that you may write") == 3, (
        done.stdout + done.stderr
    )


def test_a_working_directory_that_was_removed_is_one_clear_error(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    code = (
        f"import os; os.mkdir({str(gone)!r}); os.chdir({str(gone)!r}); os.rmdir({str(gone)!r})\n"
        "from wheelmill.cli import main; main()"
    )
    for words in (["matrix", "lint"], ["audit"], ["pick"]):
        command = [sys.executable, "-c", code, *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, "Traceback" in done.stderr) == (1, False), done.stderr
        assert "the working directory cannot be read" in done.stderr

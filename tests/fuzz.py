"""Damaged input for every reader: `nox -s fuzz -- --minutes 5`, a fixed seed in CI, and the corpus of finds.

An input is a good one with some bytes changed. Whatever it holds, a reader gives an answer or one clear
error; anything else is a find: it is made small, written to tests/corpus/TARGET/, and every test run plays it
back.
"""

from __future__ import annotations

import argparse
import hashlib
import http.server
import json
import lzma
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date, datetime, timezone
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from wheelmill.errors import WheelmillError

from tests.matrix.small import SMALL
from tests.wheels import Draft

if TYPE_CHECKING:
    from wheelmill.matrix import Matrix

CORPUS = Path(__file__).parent / "corpus"
TODAY = date(2024, 6, 1)
PATIENCE = 20.0  # seconds of CPU that one input may take; all of them are small
WAITING = 300.0  # and by the clock, which on a busy machine says less
BATCH = 50
_TEXTS = ("METADATA", "WHEEL", "RECORD", "entry_points.txt")
_PLATFORM = "py3-none-manylinux_2_17_x86_64"

Run = Callable[[bytes, Path], None]


@dataclass(frozen=True)
class Target:
    """A reader: good inputs to begin with, and what is done with a damaged one in a folder of its own."""

    seeds: Callable[[], list[bytes]]
    run: Run


# ----------------------------------------------------------------------------------------------------- audit
def draft() -> Draft:
    """A small wheel that nothing is wrong with."""
    info = "demo-1.0.dist-info"
    headers = ["License-Expression: MIT", "License-File: LICENSE", "Requires-Python: >=3.8"]
    files = {
        "demo/__init__.py": b"one = 1\n",
        f"{info}/licenses/LICENSE": b"MIT",
        f"{info}/entry_points.txt": b"[console_scripts]\ndemo-tool = demo:main\n",
    }
    return Draft(headers=[*headers, "Requires-Dist: torch>=2.1; python_version >= '3.9'"], files=files)


@cache
def library() -> bytes:
    """A small library with a symbol of glibc, as the machine's compiler makes it."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "k.c").write_text("int atoi(const char *); int f(char *a) { return atoi(a); }")
        command = ["gcc", "-shared", "-fPIC", "-O1", "-s", "-Wl,-z,relro", "-o", "k.so", "k.c"]
        subprocess.run(command, cwd=folder, check=True)
        return Path(folder, "k.so").read_bytes()


def native(content: bytes) -> Draft:
    """A wheel of a platform with these bytes as its library, and a right RECORD."""
    made = draft()
    made.tag, made.purelib = _PLATFORM, False
    made.files["demo/k.so"] = content
    return made


def _wheels() -> list[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        return [one.write(Path(folder)).read_bytes() for one in (draft(), native(library()))]


def _judge(wheel: Path) -> None:
    from wheelmill.prove.audit import judge, to_json

    verdict = judge(wheel)
    json.dumps(to_json(verdict))
    for finding in verdict.findings:  # a guard that held is still a reader that did not
        assert "cannot be judged: " not in finding.message, finding.message


def _audit_archive(content: bytes, folder: Path) -> None:
    wheel = folder / f"demo-1.0-{_PLATFORM}.whl"
    wheel.write_bytes(content)
    _judge(wheel)


def _audit_library(content: bytes, folder: Path) -> None:
    _judge(native(content).write(folder))


def _texts() -> list[bytes]:
    members = draft().members()
    texts = [members[f"demo-1.0.dist-info/{name}"] for name in _TEXTS if name != "RECORD"]
    digest = b"47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"
    record = b"demo/__init__.py,sha256=" + digest + b",0\ndemo-1.0.dist-info/RECORD,,\n"
    return [bytes([number]) + text for number, text in enumerate([*texts, record])]


def _audit_text(content: bytes, folder: Path) -> None:
    """The first byte says which text of the .dist-info the others are."""
    made = draft()
    name = ("METADATA", "WHEEL", "entry_points.txt", "RECORD")[content[0] % 4 if content else 0]
    if name == "RECORD":
        made.record = lambda _: content[1:].decode("latin-1")
    else:
        made.files[f"demo-1.0.dist-info/{name}"] = content[1:]
    _judge(made.write(folder))


# ---------------------------------------------------------------------------------------------------- matrix
def _matrix(content: bytes, folder: Path) -> None:
    from wheelmill import pick
    from wheelmill.catalogue import Catalogue
    from wheelmill.matrix import MatrixError, load
    from wheelmill.matrix.lint import lint, render_text, to_json

    file = folder / "compat.yaml"
    file.write_bytes(content)
    report = lint(file, TODAY)
    json.dumps(to_json(report))
    render_text(report)
    try:
        matrix = load(file)
    except MatrixError:
        assert report.errors
        return
    if not report.errors:  # what lint refuses is not used
        shelf = pick.Shelf(matrix, Catalogue(()), TODAY)
        for cann in (None, "7.0.RC1"):
            pick.render_text(pick.answer(shelf, pick.parse_request(cann=cann), {}), "pip")


# --------------------------------------------------------------------------------------------------- journal
def _journals() -> list[bytes]:
    from wheelmill.store import Store

    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        digest = store.put(b"content")
        store.record("bundle", "key", digest=digest, log="x.log")
        store.record("wheel", "key", digest=digest, file="demo-1.0-py3-none-any.whl")
        store.record("index", "set", tree="x")
        lines = Path(folder, "journal.jsonl").read_bytes()
    older = b'{"data":{"n":1},"key":"old","kind":"x","time":1.5}\n'
    return [lines, older * 3]


def _journal(content: bytes, folder: Path) -> None:
    from wheelmill.store import Store

    (folder / "journal.jsonl").write_bytes(content)
    store = Store(folder)
    for record in list(store.records()):
        assert {type(record.kind), type(record.key)} == {str}
        store.find(record.kind, record.key)
    store.record("x", "after", digest="x")
    found = Store(folder).find("x", "after")
    assert found is not None, "what was written after the damage is gone"


# ----------------------------------------------------------------------------------------- pages of an index
def _pages() -> list[bytes]:
    from wheelmill.publish.index import pages
    from wheelmill.publish.index.records import WheelRecord

    with tempfile.TemporaryDirectory() as folder:
        wheel = draft().write(Path(folder))
        record = WheelRecord.from_wheel(wheel, datetime(2024, 1, 1, tzinfo=timezone.utc))
    return [pages.Writer("demo").pages("", [record])[pages.JSON_NAME]]


def _page(content: bytes, folder: Path) -> None:
    from wheelmill.publish.index.pages import records_of

    with suppress(ValueError, KeyError):
        records_of(content)


# --------------------------------------------------------------------------------------- a simple API answer
def _answers() -> list[bytes]:
    file = "torch_npu-2.1.0-cp38-cp38-manylinux_2_17_aarch64.manylinux2014_aarch64.whl"
    entry = {
        "filename": file,
        "url": f"../../files/{file}",
        "hashes": {"sha256": "0" * 64},
        "size": 3,
        "requires-python": ">=3.8",
        "upload-time": "2024-01-01T00:00:00Z",
        "yanked": False,
    }
    page = {"meta": {"api-version": "1.1"}, "name": "torch-npu", "versions": ["2.1.0"], "files": [entry]}
    html = f'<!DOCTYPE html><html><body><a href="../../{file}#sha256={"0" * 64}">{file}</a></body></html>'
    return [b"J" + json.dumps(page).encode(), b"H" + html.encode()]


@contextmanager
def _served(content: bytes) -> Iterator[str]:
    """An index whose every page is this; the first byte says whether it is called JSON or HTML."""
    kind = "application/vnd.pypi.simple.v1+json" if content[:1] == b"J" else "text/html; charset=utf-8"

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            whole = self.path.rstrip("/").endswith("torch-npu")
            self.send_response(200 if whole else 404)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content) - 1 if whole else 0))
            self.end_headers()
            if whole:
                self.wfile.write(content[1:])

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/simple/"
        finally:
            server.shutdown()
            thread.join()


def _answer(content: bytes, folder: Path) -> None:
    from wheelmill.catalogue.refresh import refresh

    with _served(content or b"J") as url, suppress(WheelmillError):
        refresh(url, None, TODAY)


# ------------------------------------------------------------------------------- records of the catalogue
def _records() -> list[bytes]:
    from wheelmill.catalogue import Record, Wheel, write_record
    from wheelmill.catalogue.model import Audited

    wheels = (
        Wheel("torch_npu-2.1.0-cp38-cp38-manylinux_2_17_aarch64.manylinux2014_aarch64.whl", "a" * 64, 3,
              "2024-01-01T00:00:00Z", ("torch==2.1.0", "numpy<2"), ">=3.8", False,
              Audited("2024-01-02", "manylinux_2_28", "tag too old")),
        Wheel("torch_npu-2.1.0rc1-cp38-cp38-linux_x86_64.whl", "b" * 64, 3, None, None, None, "bad"),
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "index.json")
        write_record(path, Record("torch_npu", "index", "2024-01-03", wheels, ("requires",)))
        return [path.read_bytes()]


@cache
def _small() -> Matrix:
    from wheelmill.matrix import load

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "compat.yaml")
        path.write_text(SMALL, encoding="utf-8")
        return load(path)


def _record(content: bytes, folder: Path) -> None:
    from wheelmill import pick
    from wheelmill.catalogue import Catalogue, read_record
    from wheelmill.catalogue.check import check
    from wheelmill.catalogue.propose import propose

    (folder / "index.json").write_bytes(content)
    try:
        catalogue = Catalogue((read_record(folder / "index.json"),))
    except WheelmillError:
        return
    "".join(map(str, check(_small(), catalogue)))
    propose(_small(), catalogue, SMALL)
    shelf = pick.Shelf(_small(), catalogue, TODAY)
    for wheel in catalogue:
        found = pick.answer(shelf, pick.parse_request(adapter=wheel.version), {})
        json.dumps(pick.to_json(found))
        assert all(one.isprintable() or one == "\n" for one in pick.render_text(found))


# ---------------------------------------------------------------------------------------- notes and errors
def _notes() -> list[bytes]:
    folder = Path(__file__).parents[1] / "release" / "notes"
    return [path.read_bytes() for path in sorted(folder.glob("*.yaml"))]


def _note(content: bytes, folder: Path) -> None:
    from wheelmill.notes import check

    (folder / "2.1.0rc1.yaml").write_bytes(content)
    "".join(map(str, check(folder, _small())))


def _errors() -> list[bytes]:
    folder = Path(__file__).parent / "pick" / "failures"
    return [path.read_bytes() for path in sorted(folder.glob("*.txt"))]


def _error(content: bytes, folder: Path) -> None:
    from wheelmill.pick.failures import SymbolTable, explain, failures, render, to_json

    found = explain(content.decode("utf-8", "replace"), failures(), SymbolTable())
    json.dumps(to_json(found))
    for match in found.matches:
        assert all(one.isprintable() for command in match.commands for one in command)
    render(found, "zh")


# ------------------------------------------------------------------------------------- what was kept earlier
def _copies() -> list[bytes]:
    from wheelmill.matrix.kept import dump

    return [dump(_small().document).encode()]


def _copy(content: bytes, folder: Path) -> None:
    """A kept matrix whose checksum is right, whatever it holds."""
    from wheelmill.matrix.kept import NotKeptError, restore
    from wheelmill.matrix.lint import errors
    from wheelmill.matrix.references import resolve

    try:
        document = restore(content.decode("utf-8", "replace"))
    except NotKeptError:
        return
    matrix = resolve(folder, "", document, [])
    if matrix is not None:
        "".join(map(str, errors(matrix)))


@cache
def _interfaces() -> list[bytes]:
    """The smallest records of torch's interface, unpacked."""
    folder = Path(__file__).parents[1] / "matrix" / "abi"
    files = sorted(folder.glob("*.xz"), key=lambda file: file.stat().st_size)
    return [lzma.decompress(file.read_bytes()) for file in files[:3]]


def _interface(content: bytes, folder: Path) -> None:
    from wheelmill.prove.abi.kept import Shelf

    name = "torch-2.1.0-x86_64"
    (folder / f"{name}.json.xz").write_bytes(lzma.compress(content, preset=0))
    shelf = Shelf(folder)
    try:
        for origin in shelf.origins:
            shelf.record(origin.name)
            shelf.restricted((origin,), frozenset(("_ZN2at1fEv",)))
            shelf.like(origin, "_ZN2at1fEv")
    except WheelmillError:
        return


def _sessions() -> list[bytes]:
    from wheelmill.publish.release.session import Event, File, Session, Waiver

    digest, time_ = "0" * 64, "2024-01-15T12:00:00Z"
    made = {"file": "demo-1.0-py3-none-any.whl", "sha256": digest, "verdict": {"findings": []}}
    cell = {"adapter": made, "simulator": made, "smoke": None, "waived": None}
    checked = {"stage": None, "waiver": None, "matrix": digest, "cann": "7.0.RC1", "torch": "2.1.0"}
    session = Session(
        branch="v2.1.0", version="2.1.0rc1", attempt=1, state="built", owner="a@b", started=time_,
        expires=time_, commit="0" * 40, into="/x", engine="host", waivers=(Waiver("*", "a", "b"),),
        facts={"checked": checked, "tagged": {}, "built": {"cells": {"v2.1.0/3.8/x86_64": cell}}},
        reached=dict.fromkeys(("checked", "tagged", "built"), time_),
        files=(File("demo-1.0-py3-none-any.whl", digest, 1, "adapter"),), yanked=Event(time_, "a", "b"),
    )  # fmt: skip
    return [json.dumps(session.to_json()).encode()]


def _session(content: bytes, folder: Path) -> None:
    from wheelmill.publish.release.session import from_json, moment, next_command

    try:
        session = from_json(json.loads(content))
    except (ValueError, RecursionError, WheelmillError):
        return
    next_command(session, moment("2024-01-15T12:00:00Z"))


# -------------------------------------------------------------------------------- files of other projects
def _projects() -> list[bytes]:
    folder = Path(__file__).parents[1] / "examples"
    return [file.read_bytes() for file in sorted(folder.glob("*/wheelmill.toml"))]


def _project(content: bytes, folder: Path) -> None:
    from wheelmill import describe
    from wheelmill.describe.guess import GuessError, guess

    (folder / "wheelmill.toml").write_bytes(content)
    with suppress(WheelmillError):
        repr(describe.load(folder / "wheelmill.toml", {}).cells)
    (folder / "pyproject.toml").write_bytes(content)
    with suppress(GuessError):
        guess(folder)


def _build_files() -> list[bytes]:
    pyproject = b"""[build-system]
requires = ["setuptools>=77", "torch==2.13.0"]
[project]
name = "demo"
requires-python = ">=3.10"
dependencies = ["torch"]
"""
    return [pyproject, *_projects()[:1]]


def _keyrings() -> list[bytes]:
    from wheelmill.publish.sign.keyring import ROLES, Key, Keyring

    keys = tuple(
        Key(name, digit * 64, ROLES, date(2024, 1, 1), date(2026, 1, 1), revoked, reason)
        for name, digit, revoked, reason in (("al", "1", None, None), ("bo", "2", date(2025, 1, 1), "lost"))
    )
    return [Keyring(Path(), keys, dict.fromkeys(ROLES, 1)).render().encode()]


def _keyring(content: bytes, folder: Path) -> None:
    from wheelmill.publish.sign import load_keyring

    (folder / "keys.yaml").write_bytes(content)
    with suppress(WheelmillError):
        load_keyring(folder / "keys.yaml").render()


def _name(content: bytes, _: Path) -> None:
    """A mangled name, as a wheel's symbols and messages of the loader have them."""
    from wheelmill.cxx_names import qualified, readable, split_function

    mangled = content.decode("latin-1")
    split_function(readable(mangled))
    qualified(mangled)


_MANGLED = [
    b"_ZN2at4_ops10add_Tensor4callERKNS_6TensorES4_RKN3c106ScalarE",
    b"_Z1f1AIiiES_IS0_S0_ES_IS1_S1_ES_IS2_S2_E",
    b"_Z1fIJiiiEEv1BIDp1AIT_EE",
]


TARGETS: Mapping[str, Target] = {
    "archive": Target(_wheels, _audit_archive),
    "library": Target(lambda: [library()], _audit_library),
    "texts": Target(_texts, _audit_text),
    "matrix": Target(lambda: [SMALL.encode()], _matrix),
    "journal": Target(_journals, _journal),
    "page": Target(_pages, _page),
    "answer": Target(_answers, _answer),
    "record": Target(_records, _record),
    "note": Target(_notes, _note),
    "error": Target(_errors, _error),
    "copy": Target(_copies, _copy),
    "interface": Target(_interfaces, _interface),
    "session": Target(_sessions, _session),
    "project": Target(lambda: [*_build_files(), *_projects()], _project),
    "keyring": Target(_keyrings, _keyring),
    "name": Target(lambda: _MANGLED, _name),
}

# --------------------------------------------------------------------------------------------------- changes
_NUMBERS = [
    b"\0\0\0\0",
    b"\xff\xff\xff\xff",
    b"\xff\xff\xff\x7f",
    b"\0\0\0\x80",
    b"\1\0\0\0",
    b"\xff\xff",
    b"\0",
]
_CHANGE = st.tuples(
    st.sampled_from(["flip", "write", "insert", "cut", "copy", "end"]),
    st.integers(0, 1 << 20),
    st.one_of(st.sampled_from(_NUMBERS), st.binary(min_size=1, max_size=12)),
)


def changed(content: bytes, changes: list[tuple[str, int, bytes]]) -> bytes:
    """The content with each change made in turn; places wrap around its end."""
    data = bytearray(content)
    for kind, place, value in changes:
        at = place % (len(data) or 1)
        if kind == "flip" and data:
            data[at] ^= 1 << place // len(data) % 8
        elif kind == "write":
            data[at : at + len(value)] = value
        elif kind == "insert":
            data[at:at] = value * (1 + place % 7)
        elif kind == "cut":
            del data[at : at + 1 + value[0]]
        elif kind == "copy":
            data[at:at] = data[at : at + 1 + value[0]]
        elif kind == "end":
            del data[at + 1 :]
    return bytes(data)


def attempt(target: Target, content: bytes) -> None:
    """Give the reader one input. Raises what the reader raises, and AssertionError where it is slow."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        begun, busy = time.monotonic(), time.process_time()
        target.run(content, Path(folder))
        took, used = time.monotonic() - begun, time.process_time() - busy
        assert used < PATIENCE, f"{used:.0f} s of CPU for {len(content)} bytes"
        assert took < WAITING, f"{took:.0f} s for {len(content)} bytes"


def hunt(name: str, seconds: float, start: int) -> tuple[int, tuple[bytes, Exception] | None]:
    """Change inputs for so long, from this seed on: how many there were, and the smallest find."""
    target = TARGETS[name]
    seeds = target.seeds()
    tried = 0
    failing: list[bytes] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:

        @seed(start)
        @settings(
            max_examples=BATCH,
            deadline=None,
            database=None,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        )
        @given(st.sampled_from(seeds), st.lists(_CHANGE, min_size=1, max_size=6))
        def probe(content: bytes, changes: list[tuple[str, int, bytes]]) -> None:
            nonlocal tried
            tried += 1
            data = changed(content, changes)
            try:
                attempt(target, data)
            except Exception:
                failing.append(data)
                raise

        try:
            probe()
        except Exception as error:
            return tried, (failing[-1], error)
        start += 1
    return tried, None


def main(words: list[str]) -> int:
    """Hunt in every target in turn; 1 where there was a find, which is in tests/corpus then."""
    parser = argparse.ArgumentParser(prog="nox -s fuzz --", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0, help="for all targets together")
    parser.add_argument(
        "--seed", type=int, default=int(time.time()), help="as a run that is to be repeated said"
    )
    parser.add_argument("--target", choices=sorted(TARGETS), action="append", help="only this one")
    asked = parser.parse_args(words)
    names = asked.target or list(TARGETS)
    found = 0
    for name in names:
        tried, find = hunt(name, asked.minutes * 60 / len(names), asked.seed)
        print(
            f"{name}: {tried} inputs, seed {asked.seed}" + (f", a find: {find[1]!r}" if find else ""),
            flush=True,
        )
        if find:
            found += 1
            kept = CORPUS / name / hashlib.sha256(find[0]).hexdigest()[:16]
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_bytes(find[0])
            print(f"  kept: {kept}; every test run plays it back", flush=True)
    return min(found, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Whatever of the state is damaged: the command that uses it says so, and makes it again or refuses."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
from wheelmill.store import Store

from tests.make.conftest import LINE, Checkout

CELL = f"{LINE}/3.8/x86_64"
Damage = Callable[[Path], None]


def flip(path: Path) -> None:
    """One bit in place, as a disk does it: every hard link has it."""
    path.chmod(0o644)
    with path.open("r+b") as stream:
        at = path.stat().st_size // 2
        stream.seek(at)
        byte = stream.read(1)[0]
        stream.seek(at)
        stream.write(bytes([byte ^ 1]))


def cut(path: Path) -> None:
    path.chmod(0o644)
    os.truncate(path, path.stat().st_size // 2)


def swap(path: Path) -> None:
    """Another one, as valid: a wheel with one more module, anything else with one more byte."""
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data)
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("torch_npu/evil.py", b"import os\n")
    else:
        path.write_bytes(data + b"\n")


def block(path: Path) -> None:
    """What cannot be read, whoever one is."""
    path.unlink()
    path.mkdir()


def remove(path: Path) -> None:
    path.unlink()


DAMAGES = (flip, cut, swap, block, remove)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Mill:
    """A checkout with one built cell, and what was built."""

    def __init__(self, checkout: Checkout) -> None:
        self.checkout, self.home = checkout, checkout.home
        done = self.build()
        assert done.returncode == 0, done.stderr
        (self.cell,) = json.loads(done.stdout)["cells"]
        self.wheel, self.simulator = Path(self.cell["wheel"]), Path(self.cell["simulator"])
        self.digests = {path.name: sha256(path) for path in (self.wheel, self.simulator)}

    def build(self) -> subprocess.CompletedProcess[str]:
        return self.checkout.run("build", CELL, "--no-smoke", "--json")

    def object(self, digest: str) -> Path:
        return self.home / "objects" / digest[:2] / digest

    def records(self, kind: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in (self.home / "journal.jsonl").open()]
        return [line["data"] for line in lines if line["kind"] == kind]

    def stored(self, kind: str, field: str = "digest") -> Path:
        """The object of the last record of this kind."""
        return self.object(self.records(kind)[-1][field])

    def stored_wheel(self, wheel: Path) -> Path:
        """The object of a wheel under the tag that the audit gave it."""
        return self.object(self.digests[wheel.name])

    def assembled(self, wheel: Path) -> Path:
        """The object of a wheel as it was before the audit."""
        project = wheel.name.partition("-")[0]
        return next(self.object(d["digest"]) for d in self.records("wheel") if d["file"].startswith(project))

    def forget(self, *paths: Path) -> None:
        """Take these and everything that was made of wheels away, so that they are needed again."""
        for path in paths:
            path.unlink()
        for folder in ("wheels", "assembled", ".index.trees"):
            shutil.rmtree(self.home / folder, ignore_errors=True)
        (self.home / "index").unlink(missing_ok=True)

    def shown(self) -> dict[str, str]:
        """File -> hash, as the pages of the index have them and as the files are."""
        found = {}
        for page in (self.home / "index" / "simple").glob("*/index.v1+json"):
            for file in json.loads(page.read_text())["files"]:
                path = page.parent / file["url"]
                assert sha256(path) == file["hashes"]["sha256"]
                side = path.with_name(f"{path.name}.metadata")
                assert sha256(side) == file["core-metadata"]["sha256"]
                found[file["filename"]] = file["hashes"]["sha256"]
        return found

    def check(self, done: subprocess.CompletedProcess[str], *damaged: Path | str) -> None:
        """The command did what it should, named what was damaged, and everything is as it was built first."""
        said = f"{done.args}: {done.stdout}{done.stderr}"
        assert done.returncode == 0, said
        assert "Traceback" not in done.stderr, said
        for path in damaged:
            assert f"damaged: {path} " in done.stderr or f"damaged: {path}; " in done.stderr, said
        assert {path.name: sha256(path) for path in (self.wheel, self.simulator)} == self.digests, said
        assert self.shown() == self.digests, said


@pytest.fixture
def mill(checkout: Checkout) -> Mill:
    return Mill(checkout)


@pytest.mark.slow
def test_objects_that_a_build_uses(mill: Mill) -> None:
    """The bundle's bytes end in a new wheel, a stored wheel is given out, torch is compiled against."""
    wheel, simulator = mill.assembled(mill.wheel), mill.assembled(mill.simulator)
    bundle, torch = mill.stored("bundle"), mill.stored("torch-sdk", "sha256")
    uses = ((mill.stored_wheel(mill.wheel),), (wheel,), (bundle, simulator))
    for damage in DAMAGES:
        for paths in uses:
            for path in paths:
                damage(path)
            mill.check(mill.build(), *(() if damage is remove else paths))
    for damage in (flip, remove):
        mill.forget(wheel, bundle)
        damage(torch)
        mill.check(mill.build(), *(() if damage is remove else (torch,)))
    names = {path.name.partition(".")[0] for path in (mill.home / "damaged").iterdir()}
    assert {name for name in names if len(name) == 64} == {
        path.name for paths in (*uses, (torch,)) for path in paths
    }


@pytest.mark.slow
def test_the_unzipped_torch_is_compared_before_it_is_compiled_against(mill: Mill) -> None:
    root = mill.home / "sdk" / mill.records("torch-sdk")[-1]["sha256"]
    header, library = root / "include/torch/marker.h", root / "lib/libc10.so"
    wheel, bundle = mill.assembled(mill.wheel), mill.stored("bundle")
    for damage, path in ((flip, header), (remove, header), (cut, library), (block, library)):
        mill.forget(wheel, bundle)
        damage(path)
        mill.check(mill.build(), path)
    mill.forget(wheel, bundle)
    added = root / "include/torch/stdint.h"
    added.write_text("#error this is no header of torch\n")
    mill.check(mill.build(), added)
    header.write_text("#define TORCH_MARKER 8\n")
    done = mill.checkout.run("reproduce", str(mill.wheel))
    assert (done.returncode, done.stdout[:15]) == (0, "the same bytes "), done.stdout + done.stderr
    assert f"damaged: {header} has SHA-256" in done.stderr


def test_every_file_that_is_given_out_is_put_right(mill: Mill) -> None:
    """wheels/ is for people, assembled/ and the index hold hard links: what is wrong in one is named."""
    tree = (mill.home / "index").resolve()
    served = tree / "files" / mill.digests[mill.wheel.name] / mill.wheel.name
    page = tree / "simple/torch-npu/index.v1+json"
    metadata, added = served.with_name(f"{served.name}.metadata"), tree / "simple/extra.html"
    commands = (("build", CELL, "--no-smoke"), ("index",))
    for number, (damage, path) in enumerate(
        (damage, path) for path in (page, metadata, served) for damage in (flip, cut, swap, remove)
    ):
        damage(path)
        mill.check(mill.checkout.run(*commands[number % len(commands)]), path)
    added.write_text("left over")
    mill.check(mill.checkout.run("index"), added)
    for damage in DAMAGES:
        damage(mill.wheel)
        mill.check(mill.build(), *(() if damage is remove else (mill.wheel,)))
    assert mill.checkout.run("index").stderr == ""
    (mill.home / "index").unlink()
    shutil.copytree(tree, mill.home / "index")  # a cache that follows links
    mill.check(mill.checkout.run("index"), mill.home / "index")


def test_a_wheel_that_only_the_index_and_wheels_have_is_taken_back(mill: Mill) -> None:
    flip(mill.stored_wheel(mill.wheel))  # through the hard link it is wrong in the index, too
    mill.check(mill.checkout.run("index"), mill.stored_wheel(mill.wheel))


def test_a_wheel_that_is_lost_is_named_with_the_command_that_makes_it_again(mill: Mill) -> None:
    flip(mill.stored_wheel(mill.wheel))
    flip(mill.wheel)
    done = mill.checkout.run("index", "--json")
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert told["wheels"] == 1
    (text,) = told["absent"]
    assert text.startswith(f"{mill.wheel.name} is damaged or gone; make it again: wheelmill build ")
    assert f"not in the index: {text}" in done.stderr
    assert mill.shown() == {mill.simulator.name: mill.digests[mill.simulator.name]}
    done = mill.checkout.run("audit", "--json")
    verdicts = {wheel["wheel"]: wheel for wheel in json.loads(done.stdout)["wheels"]}
    assert done.returncode == 1
    assert verdicts[mill.wheel.name]["findings"][0]["message"] == text
    assert verdicts[mill.simulator.name]["ok"]
    words = text.rpartition("wheelmill ")[2].split()
    assert words == ["build", f"{LINE}/3.8/x86_64"]
    assert mill.checkout.run(*words, "--no-smoke").returncode == 0
    mill.check(mill.checkout.run("index"))


def test_a_server_begins_with_a_whole_index(mill: Mill) -> None:
    path = next((mill.home / "index").resolve().glob(f"files/*/{mill.wheel.name}"))
    flip(path)
    server = mill.checkout.start("serve", "--port", "0", PYTHONUNBUFFERED="1")
    assert server.stdout is not None
    match = re.search(r"http://\S+", server.stdout.readline())
    assert match is not None
    with urllib.request.urlopen(f"{match[0]}torch-npu/") as answer:
        link = re.search(r'href="([^"#]+)#sha256=([0-9a-f]{64})"', answer.read().decode())
    assert link is not None
    with urllib.request.urlopen(urljoin(f"{match[0]}torch-npu/", link[1])) as answer:
        assert hashlib.sha256(answer.read()).hexdigest() == link[2] == mill.digests[mill.wheel.name]
    server.terminate()
    assert "damaged: " in server.communicate(timeout=60)[1]


def test_a_record_that_was_changed_is_made_again(mill: Mill) -> None:
    """A verdict in the journal, changed by an editor: it is not what was written."""
    journal = mill.home / "journal.jsonl"
    text = journal.read_text()
    assert text.count('"native_files":2') == 2
    journal.write_text(text.replace('"native_files":2', '"native_files":9'))
    done = mill.build()
    mill.check(done)
    assert done.stderr.count(f"damaged: {journal}, line ") == 2
    assert json.loads(done.stdout)["cells"][0]["audit"]["native_files"] == 2


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["torch-sdk", "sdk-tree", "bundle", "wheel", "audit"])
def test_a_record_that_names_another_object_is_one_clear_error(mill: Mill, kind: str) -> None:
    """Every checksum and hash is right: a cache that is restored may have been written by anybody."""
    store, field = Store(mill.home), "sha256" if kind == "torch-sdk" else "digest"
    (*_, record) = store.records(kind)
    others = (
        store.put(b"[" * 100_000),
        store.put(b'{"include/torch/marker.h": 7}'),
        mill.digests[mill.wheel.name],
    )
    for other in others:
        mill.forget()
        store.record(kind, record.key, **{**record.data, field: str(other)})
        for words in (("build", CELL, "--no-smoke"), ("index",), ("audit",), ("plan", CELL)):
            done = mill.checkout.run(*words)
            assert done.returncode in (0, 1, 3), f"{words}: {done.stderr}"
            assert "Traceback" not in done.stderr, done.stderr
            assert done.returncode == 0 or "error: " in done.stdout + done.stderr or words == ("audit",)


def test_a_state_restored_from_a_cache_is_known(mill: Mill) -> None:
    """Other times, no right to write or execute, and copies instead of hard links."""
    for path in list(mill.home.rglob("*")):
        if path.is_file() and not path.is_symlink():
            data = path.read_bytes()
            path.unlink()
            path.write_bytes(data)
            path.chmod(0o600)
            os.utime(path, (0, 0))
    done = mill.build()
    mill.check(done)
    assert json.loads(done.stdout)["cells"][0]["cached"]
    assert "damaged" not in done.stderr

"""`wheelmill matrix torch`: a new torch is one command, one paste and one lint."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import pytest
from pypi_simple import DistributionPackage
from wheelmill.errors import WheelmillError
from wheelmill.make.toolchain.torch_block import wheels_of
from wheelmill.matrix import load
from wheelmill.publish.index import IndexServer, WheelRecord, build_index
from wheelmill.store import digest_file

from tests.cli.test_command_line import ROOT, wheelmill
from tests.wheels import Draft

VERSION = "9.1.0"
TAGS = (
    "cp311-cp311-manylinux_2_28_x86_64",
    "cp311-cp311-manylinux_2_28_aarch64",
    "cp310-cp310-manylinux_2_28_x86_64",
)
# What a matrix does not name: another version, a free-threaded build, other systems.
OTHERS = (
    ("9.0.0", "cp311-cp311-manylinux_2_28_x86_64"),
    (VERSION, "cp313-cp313t-manylinux_2_28_x86_64"),
    (VERSION, "cp311-cp311-win_amd64"),
    (VERSION, "cp311-none-macosx_11_0_arm64"),
)


def index(folder: Path) -> tuple[Path, dict[str, str]]:
    """An index of small wheels named torch; tag -> SHA-256 of those that belong into the block."""
    moment = datetime(2026, 1, 1, tzinfo=timezone.utc)
    wanted = [Draft("torch", VERSION, tag, purelib=False).write(folder / "wheels") for tag in TAGS]
    others = [Draft("torch", version, tag, purelib=False).write(folder / "wheels") for version, tag in OTHERS]
    build_index([WheelRecord.from_wheel(path, moment) for path in (*wanted, *others)], folder / "index")
    return folder / "index", {tag: digest_file(path) for tag, path in zip(TAGS, wanted, strict=True)}


def test_the_block_of_a_new_torch_can_be_pasted(tmp_path: Path) -> None:
    folder, hashes = index(tmp_path)
    with IndexServer(folder) as server:
        done = wheelmill("matrix", "torch", VERSION, PIP_INDEX_URL=server.simple_url)
    assert done.returncode == 0, done.stderr
    text = (ROOT / "matrix/compat.yaml").read_text(encoding="utf-8")
    pasted = tmp_path / "compat.yaml"
    pasted.write_text(text.replace("torches:\n", f"torches:\n{done.stdout}\n", 1), encoding="utf-8")
    torch = load(pasted).torches[VERSION]
    assert {(wheel.python, wheel.arch): wheel.sha256 for wheel in torch.wheels} == {
        ("3.10", "x86_64"): hashes[TAGS[2]],
        ("3.11", "aarch64"): hashes[TAGS[1]],
        ("3.11", "x86_64"): hashes[TAGS[0]],
    }
    assert dict(torch.policies) == {"aarch64": "manylinux_2_28", "x86_64": "manylinux_2_28"}
    linted = wheelmill("matrix", "lint", str(pasted))
    assert (linted.returncode, "in order: 0 errors" in linted.stdout) == (0, True), linted.stdout


def test_a_torch_that_the_index_lacks_is_an_error_that_says_what_it_has(tmp_path: Path) -> None:
    folder, _ = index(tmp_path)
    with IndexServer(folder) as server:
        done = wheelmill("matrix", "torch", "9.2.0", PIP_INDEX_URL=server.simple_url)
    assert done.returncode == 1
    assert "has no Linux wheel of torch 9.2.0" in done.stderr
    assert "Newest: 9.1.0, 9.0.0" in done.stderr


def test_an_index_out_of_reach_is_a_clear_error() -> None:
    done = wheelmill("matrix", "torch", "9.2.0", PIP_INDEX_URL="http://127.0.0.1:9/simple/")
    assert done.returncode == 1
    assert "cannot be read" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("version", ["latest", "", "9.1", " 9.1.0", "9.1.0+cpu", "v9.1.0"])
def test_what_is_no_version_of_a_torch_is_refused_before_the_index_is_asked(version: str) -> None:
    """Other forms of a version printed a block that the matrix does not know under its name."""
    done = wheelmill("matrix", "torch", version, PIP_INDEX_URL="http://127.0.0.1:9/simple/")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{version!r} is not the version of a torch" in done.stderr
    assert "Traceback" not in done.stderr


def listed(tag: str, sha256: str | None, *, yanked: bool = False) -> DistributionPackage:
    """A wheel as an index lists it."""
    name = f"torch-{VERSION}-{tag}.whl"
    hashes = {} if sha256 is None else {"sha256": sha256}
    return DistributionPackage(
        name, name, "torch", VERSION, "wheel", hashes, None, has_sig=None, is_yanked=yanked
    )


def test_a_yanked_wheel_is_not_offered_and_a_repeated_one_once() -> None:
    first, other = listed(TAGS[0], "a" * 64), listed(TAGS[1], "b" * 64, yanked=True)
    assert [wheel.sha256 for wheel in wheels_of(VERSION, [first, other, first])] == ["a" * 64]


def test_a_wheel_without_a_hash_or_with_two_is_an_error() -> None:
    with pytest.raises(WheelmillError, match=r"gives no SHA-256 of torch-9\.1\.0-cp311"):
        wheels_of(VERSION, [listed(TAGS[0], None)])
    with pytest.raises(WheelmillError, match=r"two wheels of torch 9\.1\.0 for Python 3\.11 on x86_64"):
        wheels_of(VERSION, [listed(TAGS[0], "a" * 64), listed(TAGS[0], "b" * 64)])

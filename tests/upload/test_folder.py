"""A release folder is believed only when every file has the hash that was sealed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from wheelmill.publish.upload import UploadError, read

from tests.cli.test_command_line import wheelmill
from tests.upload import folders


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return folders.make(tmp_path / "release")


def test_files_are_in_the_order_of_an_upload(folder: Path) -> None:
    release = read(folder)
    names = [asset.name for asset in release.assets]
    assert sorted(names) == sorted(path.name for path in folder.iterdir())
    assert all(name.endswith(".whl") for name in names[:4])
    assert names[-2:] == ["SHA256SUMS", "release.json"]
    assert (release.branch, release.version, release.tag) == (folders.BRANCH, folders.VERSION, folders.TAG)
    assert release.title == f"{folders.PACKAGE} {folders.VERSION} ({folders.BRANCH})"
    assert release.notes() == "# 新增\n\n流。\n\n# New\n\nStreams.\n"


def test_a_manifest_from_before_other_projects_is_of_the_adapter(folder: Path) -> None:
    path = folder / "release.json"
    said = json.loads(path.read_text())
    del said["package"]
    path.write_text(json.dumps(said))
    folders.seal(folder)
    assert read(folder).title == f"torch_npu {folders.VERSION} ({folders.BRANCH})"


def test_the_signature_of_the_sums_goes_along(folder: Path) -> None:
    """It is written last, over SHA256SUMS, which therefore cannot have it."""
    (folder / "release.intoto.jsonl").write_text("{}")
    names = [asset.name for asset in read(folder).assets]
    assert names[-3:] == ["SHA256SUMS", "release.intoto.jsonl", "release.json"]


def damage_wheel(folder: Path) -> None:
    path = next(folder.glob("*.whl"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def drop_wheel(folder: Path) -> None:
    next(folder.glob("*.whl")).unlink()


def add_file(folder: Path) -> None:
    (folder / "extra.txt").write_text("x")


def disagree(folder: Path) -> None:
    """The manifest was sealed anew, but names another hash for a wheel."""
    data = json.loads((folder / "release.json").read_text())
    data["files"][0]["sha256"] = "0" * 64
    (folder / "release.json").write_text(json.dumps(data))
    folders.seal(folder)


def half_manifest(folder: Path) -> None:
    text = (folder / "release.json").read_text()
    (folder / "release.json").write_text(text[: len(text) // 2])
    folders.seal(folder)


def climb(folder: Path) -> None:
    """A name that is a path."""
    with (folder / "SHA256SUMS").open("a") as sums:
        sums.write(f"{'0' * 64}  ../passwd\n")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (damage_wheel, "has SHA-256"),
        (drop_wheel, "is not there"),
        (add_file, "extra.txt is no file of the release"),
        (disagree, "release.json says 0000"),
        (half_manifest, "release.json is damaged"),
        (climb, "SHA256SUMS has the line"),
        (lambda folder: (folder / "SHA256SUMS").unlink(), "no readable SHA256SUMS"),
        (lambda folder: (folder / "release.json").unlink(), "no readable release.json"),
    ],
)
def test_a_folder_that_is_not_as_it_was_sealed_is_refused(folder: Path, change: object, said: str) -> None:
    change(folder)  # type: ignore[operator]
    with pytest.raises(UploadError) as caught:
        read(folder)
    assert said in caught.value.message
    assert caught.value.hint


def test_the_command_refuses_a_folder_that_is_none(tmp_path: Path) -> None:
    done = wheelmill("upload", str(tmp_path), "--to", "file:///nowhere")
    assert done.returncode == 1
    assert "is no release folder" in done.stderr

"""This project's own releases in the catalogue: added, yanked, never changed."""

from __future__ import annotations

import os
import threading
from datetime import date, datetime, timezone
from pathlib import Path

import pytest
from wheelmill.catalogue import CatalogueError
from wheelmill.catalogue import load as load_catalogue
from wheelmill.catalogue.own import add, yank

from tests.catalogue.conftest import adapter

NOW = datetime(2026, 11, 29, 8, 30, tzinfo=timezone.utc)
TAG = "cp311-cp311-manylinux_2_28_x86_64"


def wheel(folder: Path, version: str = "9.1.0", needs: str = "9.1.0") -> Path:
    return adapter(version, TAG, f"Requires-Dist: torch=={needs}", "Requires-Python: >=3.10").write(folder)


def test_a_release_is_recorded_with_its_source_and_moment(tmp_path: Path) -> None:
    record = add(tmp_path / "catalogue", [wheel(tmp_path)], NOW)
    (read,) = load_catalogue(tmp_path / "catalogue").records
    assert read == record
    (found,) = read.wheels
    assert (found.source, found.uploaded, found.yanked) == ("releases", "2026-11-29T08:30:00Z", False)
    assert (found.requires, found.requires_python) == (("torch==9.1.0",), ">=3.10")
    assert found.size == wheel(tmp_path).stat().st_size


def test_adding_again_keeps_the_first_day_and_changes_no_byte(tmp_path: Path) -> None:
    folder = tmp_path / "catalogue"
    add(folder, [wheel(tmp_path)], None)
    add(folder, [wheel(tmp_path)], NOW)
    kept = (folder / "releases.json").read_bytes()
    assert b"2026-11-29T08:30:00Z" in kept
    add(folder, [wheel(tmp_path)], datetime(2027, 1, 1, tzinfo=timezone.utc))
    assert (folder / "releases.json").read_bytes() == kept
    assert [path.name for path in folder.iterdir()] == ["releases.json"]


def test_other_bytes_under_a_recorded_name_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    folder = tmp_path / "catalogue"
    add(folder, [wheel(tmp_path)], NOW)
    kept = (folder / "releases.json").read_bytes()
    with pytest.raises(CatalogueError, match="is recorded with SHA-256"):
        add(folder, [wheel(tmp_path, "9.2.0"), wheel(tmp_path, needs="9.1.1")], NOW)
    assert (folder / "releases.json").read_bytes() == kept


@pytest.mark.parametrize("source", ["index", "../index", "", "A"])
def test_the_record_of_the_index_is_not_for_own_wheels(tmp_path: Path, source: str) -> None:
    with pytest.raises(CatalogueError, match="cannot name a record of own wheels"):
        add(tmp_path / "catalogue", [wheel(tmp_path)], NOW, source)
    assert not (tmp_path / "catalogue").exists()


def test_what_is_no_wheel_of_the_adapter_is_refused(tmp_path: Path) -> None:
    name = f"torch_npu-9.1.0-{TAG}.whl"
    damaged, pipe = tmp_path / "damaged" / name, tmp_path / "pipe" / name
    for path in (damaged, pipe):
        path.parent.mkdir()
    damaged.write_bytes(b"PK not a wheel")
    os.mkfifo(pipe)
    other = tmp_path / "numpy-2.0.0-py3-none-any.whl"
    other.write_bytes(wheel(tmp_path).read_bytes())
    for path in (damaged, pipe, other, tmp_path / "gone" / name, tmp_path / "notes.txt"):
        with pytest.raises(CatalogueError, match="is not a wheel"):
            add(tmp_path / "catalogue", [path], NOW)
    assert load_catalogue(tmp_path / "catalogue").wheels == ()


def test_a_yank_is_recorded_with_its_reason_and_taken_back(tmp_path: Path) -> None:
    folder = tmp_path / "catalogue"
    (found,) = add(folder, [wheel(tmp_path)], NOW).wheels
    assert yank(folder, [found.file], "wrong numbers in mm", NOW).wheels[0].yanked == "wrong numbers in mm"
    assert load_catalogue(folder).wheels[0].yanked == "wrong numbers in mm"
    assert yank(folder, [found.file], None, NOW).wheels[0].yanked is False
    with pytest.raises(CatalogueError, match="has no wheel"):
        yank(folder, ["torch_npu-9.9.9-py3-none-any.whl"], "why", NOW)


def test_two_releases_at_once_are_both_recorded(tmp_path: Path) -> None:
    wheels = [wheel(tmp_path, f"9.1.{number}") for number in range(12)]
    each = [threading.Thread(target=add, args=(tmp_path / "catalogue", [one], NOW)) for one in wheels]
    for one in each:
        one.start()
    for one in each:
        one.join()
    assert len(load_catalogue(tmp_path / "catalogue").wheels) == len(wheels)
    assert load_catalogue(tmp_path / "catalogue").records[0].read == date(2026, 11, 29).isoformat()

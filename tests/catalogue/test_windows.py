"""Windows of published wheels: what is judged anew, what is kept, what is wrong with it, and who says so."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from wheelmill.catalogue import Catalogue, CatalogueError, Record, Wheel, Window, load, write_record
from wheelmill.catalogue.check import check
from wheelmill.catalogue.windows import (
    judged,
    judged_wheels,
    merged,
    place,
    read_windows,
    to_judge,
    with_windows,
    write_windows,
)
from wheelmill.cli import cli
from wheelmill.pick import Pick, Shelf, answer, parse_request, render_text, to_json

from tests.catalogue.conftest import Add, Mirror
from tests.matrix.small import COMPAT
from tests.pick.asking import CATALOGUE, MATRIX, TODAY

SHA = "ab" * 32


def wheel(version: str, python: str = "311", arch: str = "x86_64", **more: Any) -> Wheel:
    file = f"torch_npu-{version}-cp{python}-cp{python}-manylinux_2_28_{arch}.whl"
    return Wheel(file, **{"sha256": SHA, **more})


def window(of: Wheel, *runs: str, **more: Any) -> Window:
    return Window(
        of.file, **{"sha256": str(of.sha256), "day": "2026-11-30", "judged": "2.15.0", "runs": runs, **more}
    )


def record(*wheels: Wheel) -> Record:
    return Record("torch_npu", "index", "2026-11-30", wheels)


def test_one_wheel_stands_for_a_version() -> None:
    of = record(
        wheel("2.9.0", "39"), wheel("2.9.0", "310"), wheel("2.9.0", "313", "aarch64"),
        wheel("2.8.0", "39", "aarch64"), wheel("2.8.0", "310", "aarch64"), wheel("2.7.0", sha256=None),
    )  # fmt: skip
    assert list(judged_wheels(of)) == [wheel("2.9.0", "310"), wheel("2.8.0", "310", "aarch64")]


def test_only_what_is_missing_or_may_reach_further_is_judged() -> None:
    known, changed, ended, open_ended = (wheel(f"2.{minor}.0") for minor in (9, 8, 7, 14))
    windows = (
        window(known, "2.9.0"),
        dataclasses.replace(window(changed, "2.8.0"), sha256="cd" * 32),
        window(ended, "2.7.0"),
        window(open_ended, "2.14.0", "2.15.0"),
    )
    of = record(known, changed, ended, open_ended, wheel("2.6.0"))
    assert to_judge(of, windows, "2.15.0") == (changed, wheel("2.6.0"))
    assert to_judge(of, windows, "2.16.0") == (changed, open_ended, wheel("2.6.0"))
    of = record(ended, known)
    assert merged(of, windows, window(ended, "2.7.1")) == (window(ended, "2.7.1"), window(known, "2.9.0"))


def test_windows_are_read_as_they_were_written_and_stand_at_each_wheel(tmp_path: Path) -> None:
    of = record(wheel("2.9.0"), wheel("2.9.0", "310"), wheel("2.8.0"))
    found = window(
        wheel("2.9.0"), "2.9.0", "2.9.1", without_cuda=("2.9.1",), stops=("2.10.0: symbol: no f()",)
    )
    write_record(tmp_path / "index.json", of)
    write_windows(place(tmp_path, "index"), [found])
    (kept,) = load(tmp_path).records
    assert kept.windows == (found,)
    assert [one.window for one in kept.wheels] == [found, found, None]
    assert kept == of
    assert found.others("2.9.0") == ("2.9.1",)
    assert found.others("2.8.0") == ()


@pytest.mark.parametrize(
    "change",
    [
        {"runs": "2.9.0"}, {"runs": ["2.9.0\n"]}, {"runs": [2.9]}, {"sha256": "x"}, {"judged": None},
        {"day": "today"}, {"day": "2026-13-01"}, {"day": None}, {"file": "../x.whl"},
        {"stops": ["a\x1bb"]}, {"more": 1}, {"file": "torch_npu.whl"}, {"runs": ["002.9.0"]},
        {"runs": ["2.9.1", "2.9.0"]}, {"runs": ["2.9.0", "2.9.0"]}, {"judged": "2.8.0"},
        {"without_cuda": ["2.1.0"]},
    ],
)  # fmt: skip
def test_other_values_are_one_clear_error(change: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "index.json"
    write_windows(path, [window(wheel("2.9.0"), "2.9.0")])
    data = json.loads(path.read_text())
    data["windows"][0] |= change
    path.write_text(json.dumps(data))
    with pytest.raises(CatalogueError, match=r"is no record of windows: window 1"):
        read_windows(path)


def test_a_version_has_one_window(tmp_path: Path) -> None:
    path = tmp_path / "index.json"
    write_windows(path, [window(wheel("2.9.0"), "2.9.0"), window(wheel("2.9.0", "310"), "2.9.1")])
    with pytest.raises(CatalogueError, match=r"window 2 is the second one of version 2\.9\.0"):
        read_windows(path)


def test_a_window_of_other_bytes_says_nothing() -> None:
    of = record(wheel("2.9.0"), wheel("2.9.0", "310"))
    right = window(wheel("2.9.0"), "2.9.0", "2.9.1")
    assert [one.window for one in with_windows(of, [right]).wheels] == [right, right]
    for other in (dataclasses.replace(right, sha256="cd" * 32), window(wheel("2.9.0", "39"), "2.9.0")):
        assert [one.window for one in with_windows(of, [other]).wheels] == [None, None]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"schema": 1}',
        '{"schema": 2, "windows": []}',
        '{"schema": true, "windows": []}',
        "[" * 9999,
    ],
)
def test_what_is_no_record_of_windows_is_named(content: str, tmp_path: Path) -> None:
    path = tmp_path / "index.json"
    path.write_text(content)
    with pytest.raises(CatalogueError, match="is no record of windows"):
        read_windows(path)


def test_a_download_is_held_to_the_hash_before_it_is_judged(mirror: Mirror, add: Add) -> None:
    name = add("9.1.0", "cp311-cp311-manylinux_2_28_x86_64")
    right = Wheel(name, hashlib.sha256(mirror.files[name]).hexdigest())
    seen: list[bytes] = []

    def judge(path: Path, of: Wheel) -> Window:
        seen.append(path.read_bytes())
        return window(of, "9.1.0")

    assert judged(record(right), right, mirror.url, judge) == window(right, "9.1.0")
    assert seen == [mirror.files[name]]
    with pytest.raises(CatalogueError, match="the record says abab"):
        judged(record(right), dataclasses.replace(right, sha256=SHA), mirror.url, judge)
    assert len(seen) == 1


def test_a_wheel_that_cannot_be_judged_is_named_and_the_others_go_on(
    mirror: Mirror, add: Add, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (compat := tmp_path / "compat.yaml").write_bytes(COMPAT.read_bytes())
    (tmp_path / "abi").symlink_to(COMPAT.with_name("abi"))
    names = [add(version, "cp311-cp311-manylinux_2_28_x86_64") for version in ("9.1.0", "9.2.0")]
    wheels = [Wheel(name, hashlib.sha256(mirror.files[name]).hexdigest()) for name in names]
    write_record(tmp_path / "catalogue" / "index.json", record(*wheels))
    command = ["--matrix", str(compat), "catalogue", "windows", "--index", mirror.url]
    assert cli.main([*command, "--dry-run"], standalone_mode=False) == 0
    assert capsys.readouterr().out.splitlines()[0] == f"to download: {names[0]} (size unknown)"
    assert mirror.asked == []
    assert cli.main([*command, "--json"], standalone_mode=False) == 1
    told = json.loads(capsys.readouterr().out)
    assert list(told["failed"]) == names
    assert all("has no native file" in why for why in told["failed"].values())
    assert not (tmp_path / "catalogue" / "windows").exists()


def test_what_the_record_has_no_more_is_dropped_without_a_download(
    mirror: Mirror, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`catalogue check` sends its reader here."""
    (compat := tmp_path / "compat.yaml").write_bytes(COMPAT.read_bytes())
    (tmp_path / "abi").symlink_to(COMPAT.with_name("abi"))
    write_record(tmp_path / "catalogue" / "index.json", record(wheel("2.9.0")))
    path = place(tmp_path / "catalogue", "index")
    write_windows(path, [window(wheel("2.9.0"), "2.9.0"), window(wheel("2.8.0"), "2.8.0")])
    command = ["--matrix", str(compat), "catalogue", "windows", "--index", mirror.url]
    assert cli.main(command, standalone_mode=False) == 0
    assert mirror.asked == []
    assert [one.version for one in read_windows(path)] == ["2.9.0"]
    assert "nothing to download" in capsys.readouterr().out


def faults(*windows: Window) -> list[str]:
    of = record(wheel("2.9.0"), wheel("2.8.0"))
    found = check(MATRIX, Catalogue((with_windows(of, windows),)))
    return [f"{one.rule}: {one.message}" for one in found if one.rule.startswith("window")]


def test_the_check_finds_what_is_wrong_with_windows() -> None:
    right = window(wheel("2.9.0"), "2.9.0"), window(wheel("2.8.0"), "2.8.0")
    assert faults() == []  # none are kept
    assert faults(*right) == []
    (lacking,) = faults(right[0])
    assert lacking.startswith(
        "window-of-each-version: 2.8.0: it is not known in which torches torch_npu-2.8.0"
    )
    (changed,) = faults(right[0], dataclasses.replace(right[1], sha256="cd" * 32))
    assert "had other bytes (cdcdcdcdcdcd...) when its window was made" in changed
    (gone,) = faults(*right, window(wheel("2.7.0"), "2.7.0"))
    assert "stands for no version of the record" in gone
    (elsewhere,) = faults(right[0], window(wheel("2.8.0"), "2.9.0"))
    assert "does not run in torch 2.8.0 by its symbols, only in torch 2.9.0" in elsewhere


def picked(runs: tuple[str, ...], requires: tuple[str, ...] | None = ("torch==2.9.0",), **more: Any) -> Pick:
    """The answer for 2.9.0 whose wheels have this window."""
    published = CATALOGUE.record("index")
    assert published is not None
    stands = next(one for one in judged_wheels(published) if one.version == "2.9.0")
    wheels = (
        dataclasses.replace(one, requires=requires) if one.version == "2.9.0" else one
        for one in published.wheels
    )
    bare = dataclasses.replace(published, wheels=tuple(wheels), windows=())
    catalogue = Catalogue((with_windows(bare, [window(stands, *runs, **more)]),))
    found = answer(Shelf(MATRIX, catalogue, TODAY), parse_request(adapter="2.9.0", python="3.11"), {})
    assert isinstance(found, Pick)
    return found


def test_pick_says_where_else_it_runs_and_that_pip_refuses() -> None:
    found = picked(("2.9.0", "2.9.1"))
    text = render_text(found)
    assert "# Built for torch 2.9.0; by the symbols of torch_npu-2.9.0-" in text
    assert ", this version runs with 2.9.1, too" in text
    assert "; it requires torch==2.9.0, so pip refuses to install it there" in text
    assert "pip 会拒绝" in render_text(found, lang="zh")
    kept = to_json(found)["cell"]["wheel"]["window"]
    assert (kept["runs"], kept["others"], kept["refused"]) == (["2.9.0", "2.9.1"], ["2.9.1"], ["2.9.1"])


def test_pick_says_no_more_than_is_known() -> None:
    assert "pip refuses" not in render_text(picked(("2.9.0", "2.9.1"), ("torch>=2.9",)))
    assert "pip refuses" not in render_text(picked(("2.9.0", "2.9.1"), ()))
    bare = render_text(picked(("2.9.0", "2.9.1"), without_cuda=("2.9.0", "2.9.1")))
    assert "this version runs with 2.9.1 in builds without CUDA, too" in bare
    for runs in (("2.9.0",), (), ("2.9.1",)):
        assert "by the symbols" not in render_text(picked(runs))
        assert to_json(picked(runs))["cell"]["wheel"]["window"]["others"] == []


def test_where_it_is_not_known_what_it_requires_nothing_is_said() -> None:
    """pip may refuse or not; a mirror that strips the fields does not make a wheel fit more torches."""
    unknown = picked(("2.9.0", "2.9.1"), None)
    assert "by the symbols" not in render_text(unknown)
    assert to_json(unknown)["cell"]["wheel"]["window"]["requires"] is None
    assert to_json(picked(("2.9.0", "2.9.1"), ()))["cell"]["wheel"]["window"]["requires"] == ""
    for pin in ("Torch==2.9.0", "torch[x]==2.9.0", "torch [x] (==2.9.0)"):
        assert "so pip refuses to install it there" in render_text(picked(("2.9.0", "2.9.1"), (pin,)))


def test_a_wheel_that_does_not_run_in_its_own_torch_is_picked_with_a_warning() -> None:
    found = picked(())
    (warning,) = (one["en"] for one in found.warnings if "does not run" in one["en"])
    assert "this version does not run in torch 2.9.0" in warning
    assert "此版本不能在 torch 2.9.0 中运行" in render_text(found, lang="zh")
    assert not any("does not run" in one["en"] for one in picked(("2.9.0",)).warnings)
    older = picked((), judged="2.8.0")  # it was not asked for this torch
    assert not any("does not run" in one["en"] for one in older.warnings)


def test_wheels_of_other_systems_are_for_no_machine_that_is_asked_about() -> None:
    for platform in ("musllinux_1_2_x86_64", "macosx_11_0_x86_64", "win_amd64"):
        assert Wheel(f"torch_npu-2.9.0-cp311-cp311-{platform}.whl").arch is None
    assert Wheel("torch_npu-2.9.0-cp311-cp311-linux_x86_64.whl").arch == "x86_64"


def test_nothing_else_is_picked_for_a_window() -> None:
    """It is what is known of a wheel, no reason to take it: the commands install the wheel's own torch."""
    with_one, without = picked(("2.9.0", "2.9.1")), picked(("2.9.0",))
    assert (with_one.steps, with_one.offer.torch) == (without.steps, "2.9.0")


def test_the_committed_windows_are_of_the_committed_records() -> None:
    of = CATALOGUE.record("index")
    assert of is not None
    assert [one.file for one in of.windows] == [one.file for one in judged_wheels(of)]
    assert to_judge(of, of.windows, "2.15.0") == ()

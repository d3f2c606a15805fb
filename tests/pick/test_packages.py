"""Picking among the wheels of a described project: over its own axes, by the engine of all picks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from wheelmill.catalogue.model import Catalogue, Record, Wheel
from wheelmill.describe import Described, load
from wheelmill.pick.package_text import render_text, to_json
from wheelmill.pick.packages import Answer, PackagePickError, answer, parse, rack

from tests.pick.asking import MATRIX

FILE = """\
schema = 1
package = "op-demo"
axes = ["torch", "soc", "python", "arch"]
[build]
how = "pep517"
shared = ["python"]
[sdks.torch]
[wheel]
local = "torch{torch}.{soc}"
requires = ["torch=={torch}"]
[[lines]]
name = "main"
out = [{soc = "a2", arch = "aarch64"}]
[lines.cells]
torch = ["2.13.0", "2.14.0"]
soc = ["a2", "a3"]
python = ["3.10", "3.12"]
arch = ["x86_64", "aarch64"]
"""
HASH = "0" * 64


def wheel(version: str, tag: str, torch: str, *, yanked: bool = False) -> Wheel:
    file = f"op_demo-{version}-{tag}.whl"
    return Wheel(file, HASH, 10, None, (f"torch=={torch}",), ">=3.10", yanked)


WHEELS = (
    wheel("1.0+torch2.12.0.a2", "cp310-abi3-manylinux_2_28_x86_64", "2.12.0"),
    wheel("1.0+torch2.13.0.a2", "cp310-abi3-manylinux_2_28_x86_64", "2.13.0"),
    wheel("1.1+torch2.13.0.a2", "cp310-abi3-manylinux_2_34_x86_64", "2.13.0"),
    wheel("1.1+torch2.13.0.a3", "cp312-cp312-manylinux_2_28_aarch64", "2.13.0"),
    wheel("1.2+torch2.13.0.a2", "cp310-abi3-manylinux_2_28_x86_64", "2.13.0", yanked=True),
)


def test_a_wheel_is_offered_to_the_pythons_that_it_requires(described: Described) -> None:
    wheels = (replace(WHEELS[1], requires_python=">=3.12"),)
    shelf = rack(described, Catalogue((Record("op-demo", "releases", "2026-11-29", wheels),)))
    assert {one.values["python"] for one in shelf.offers if one.how == "index"} == {"3.12"}


@pytest.fixture
def described(tmp_path: Path) -> Described:
    (tmp_path / "wheelmill.toml").write_text(FILE)
    return load(tmp_path / "wheelmill.toml", MATRIX.torches)


def ask(described: Described, *, prefer: dict[str, str] | None = None, **words: str) -> Answer:
    shelf = rack(described, Catalogue((Record("op-demo", "releases", "2026-11-29", WHEELS),)))
    return answer(described, shelf, parse(described, words), prefer or {})


def offered(found: Answer) -> tuple[str, dict[str, str]]:
    assert found.offer is not None, render_text(found)
    return found.offer.version, dict(found.offer.values)


def test_what_a_wheel_is_for_is_read_from_its_name(described: Described) -> None:
    found = ask(described, python="3.12", arch="arm64", soc="a3")
    assert offered(found) == ("1.1", {"torch": "2.13.0", "soc": "a3", "python": "3.12", "arch": "aarch64"})
    assert found.commands[0] == "pip3 install torch==2.13.0"
    assert f"op-demo==1.1+torch2.13.0.a3 --hash=sha256:{HASH}" in found.commands[1]


def test_answers_name_the_package_that_was_asked_for(described: Described) -> None:
    for lang in ("en", "zh"):
        for found in (ask(described, python="3.12", soc="a3"), ask(described, torch="1.0")):
            text = render_text(found, lang=lang)
            assert "op-demo" in text.splitlines()[0]
            assert "torch_npu" not in text


def test_one_wheel_for_many_pythons_is_offered_for_each(described: Described) -> None:
    for python in ("3.10", "3.12"):
        assert offered(ask(described, python=python, soc="a2", torch="2.13.0"))[0] == "1.1"
    assert [offer.version for offer in ask(described, soc="a2", torch="2.13.0").others] == ["1.0"]


def test_a_torch_that_no_line_has_any_more_is_still_found(described: Described) -> None:
    assert offered(ask(described, torch="2.12.0"))[0] == "1.0"


def test_an_older_c_library_gets_the_wheel_that_runs_on_it(described: Described) -> None:
    assert offered(ask(described, soc="a2", torch="2.13.0", glibc="2.28"))[0] == "1.0"
    found = ask(described, soc="a2", torch="2.13.0", glibc="2.17")
    assert found.conflicts[0]["glibc"]["en"] == "with torch 2.13.0 and soc a2 there is glibc 2.28 or newer"


def test_what_no_release_has_is_built(described: Described) -> None:
    found = ask(described, torch="2.14.0", soc="a3", python="3.10", arch="x86_64")
    assert found.offer is not None
    assert found.offer.how == "build"
    assert found.commands[0] == "wheelmill build main/2.14.0/a3/3.10/x86_64"
    assert found.commands[1].endswith(" op-demo"), "no file tells its version"


def test_what_was_built_here_is_installed_from_here(tmp_path: Path) -> None:
    """Until the version is another: pip would be told to take one that is not there."""
    words = {"torch": "2.14.0", "soc": "a3", "arch": "x86_64"}
    built = [Wheel("op_demo-1.3+torch2.14.0.a3-cp310-abi3-linux_x86_64.whl", HASH)]
    for version, how in (("1.3", "local"), ("1.4", "build")):
        (tmp_path / "wheelmill.toml").write_text(FILE.replace("axes =", f'version = "{version}"\naxes ='))
        described = load(tmp_path / "wheelmill.toml", MATRIX.torches)
        found = answer(described, rack(described, Catalogue(()), built), words, {})
        assert found.offer is not None
        assert (found.offer.how, to_json(found)["cell"]["from"]) == (how, how)
        assert found.commands[-1].endswith(f"op-demo=={version}+torch2.14.0.a3")
        assert ("wheelmill build" in str(found.commands)) == (how == "build")
        told = {"local": ("it was built here", "已在本机"), "build": ("has to be built", "需要自行构建")}[how]
        assert told[0] in render_text(found)
        assert told[1] in render_text(found, lang="zh")


def test_of_all_that_is_built_pip_takes_this_cell_s(tmp_path: Path) -> None:
    """Wheels of two torches lie in one index, and the newest pins another torch."""
    (tmp_path / "wheelmill.toml").write_text(FILE.replace("axes =", 'version = "1.3"\naxes ='))
    found = ask(load(tmp_path / "wheelmill.toml", MATRIX.torches), torch="2.13.0", soc="a3", python="3.10")
    assert found.offer is not None
    assert found.offer.how == "build"
    assert found.commands[1].endswith("op-demo==1.3+torch2.13.0.a3")


def test_nothing_that_fits_names_the_smallest_conflict_and_what_is_near(described: Described) -> None:
    found = to_json(ask(described, soc="a2", arch="aarch64", python="3.12"))
    assert found["outcome"] == "nofit"
    with_soc, with_arch = "with soc a2 there is arch x86_64", "with arch aarch64 there is soc a3"
    assert found["conflicts"] == [{"soc": with_arch, "arch": with_soc}]
    assert [one["changes"] for one in found["alternatives"]][:2] == [{"soc": "a3"}, {"arch": "x86_64"}]


def test_this_machine_decides_where_nothing_is_asked(described: Described) -> None:
    here = {"python": "3.12", "arch": "aarch64", "glibc": "2.17", "cann": "9.0.0"}
    found = ask(described, prefer=here)
    assert offered(found)[1]["arch"] == "aarch64"
    assert found.met == {"arch": "aarch64", "glibc": "2.17", "python": "3.12"} or "glibc" not in found.met


def test_only_axes_of_the_project_can_be_asked_for(described: Described) -> None:
    with pytest.raises(PackagePickError, match="op-demo has no axis 'cann'"):
        ask(described, cann="9.0.0")
    with pytest.raises(PackagePickError, match="python: 'x'"):
        ask(described, python="x")
    with pytest.raises(PackagePickError, match="glibc"):
        ask(described, glibc="old")

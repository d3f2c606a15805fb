"""The site in a real browser, opened as files: picker, explainer, keyboard, narrow screens, accessibility."""

from __future__ import annotations

import itertools
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import axe_playwright_python
import pytest
from packaging.version import InvalidVersion, Version
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from wheelmill.cxx_names import qualified
from wheelmill.pick import NoFit, answer, parse_request, with_system
from wheelmill.pick.failures import SymbolTable, explain, failures
from wheelmill.pick.model import LANGS, Lang, PickError
from wheelmill.pick.shelf import Shelf
from wheelmill.pick.site import Site

from tests.needs import need_browser
from tests.pick.test_explain import COLORED

ROOT = Path(__file__).parents[2]
FIXTURES = sorted((ROOT / "tests/pick/failures").glob("*.txt"))
AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js")
TILED = ("chip", "cann", "torch", "python", "arch", "glibc", "stage", "adapter", "branch")
AXES = (*TILED, "date")
# Before the first wheel, on the days on which wheels came and lines changed their stage, and after today.
DAYS = ("2019-01-01", "2023-12-25", "2024-10-15", "2025-01-14", "2025-01-15", "2026-01-31", "2026-06-14",
        "2026-10-15", "2026-11-28", "2030-02-28")  # fmt: skip
PAGES = ("index", "table", "timeline", "notes", "explain", "verify", "sources", "api", "version/2.9.0")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    program = need_browser()
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield found
        found.close()


class Tab:
    """A page that notes every request and every error."""

    def __init__(self, context: BrowserContext, folder: Path) -> None:
        self.folder, self.requests, self.errors = folder, [], []  # type: ignore[var-annotated]
        self.page: Page = context.new_page()
        self.page.set_default_timeout(15_000)
        self.page.on("request", lambda one: self.requests.append(one.url))
        self.page.on("pageerror", lambda one: self.errors.append(str(one)))
        self.page.on("console", lambda one: self.errors.append(one.text) if one.type == "error" else None)

    def open(self, name: str) -> Page:
        file, _, fragment = name.partition("#")
        self.page.goto((self.folder / f"{file}.html").as_uri() + (f"#{fragment}" if fragment else ""))
        return self.page


@pytest.fixture
def tab(browser: Browser, folder: Path) -> Iterator[Tab]:
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    one = Tab(context, folder)
    yield one
    context.close()
    assert one.errors == []
    assert all(url.startswith("file://") for url in one.requests), one.requests


# As people write them, and not as the tiles have them.
SPELLINGS = [
    {"cann": "9.1"}, {"cann": "8.0", "python": "3.11"}, {"cann": "CANN 8.3"}, {"cann": "9.9"},
    {"chip": "910B3"}, {"chip": "Ascend950PR_9579", "cann": "9.1.1"}, {"chip": "Atlas 800I A2"},
    {"chip": "atlas 300i duo"}, {"chip": "910B4-1", "cann": "8.5.0"}, {"chip": "Atlas A3"},
    {"chip": "Ascend 910"}, {"chip": "910_9599"}, {"cann": "8.5.0", "date": "2026-01-31"},
    {"os": "Ubuntu 20.04.6"}, {"os": "ubuntu-18.04", "torch": "2.7.1"}, {"os": "Euler 2.10"},
    {"os": "Kylin v10"},
    {"os": "BC-Linux 7.6", "cann": "8.0.0"}, {"os": "openEuler 22.03 LTS-SP4"}, {"os": "UOS 20 1020e"},
    *({"arch": one} for one in ("arm64", "ARM", "amd64", "x86-64", "x64", " AArch64 ")),
    *({"arch": one} for one in ("linux/arm64", "Linux/AMD64", "arm64v8", "linux/arm64/v8", "linux/arm/v7")),
    *({"python": one} for one in ("cp311", "py3.8", "38", "Python 3.10.12", "CPython3.9", "3.07", "cp314")),
    *({"python": one} for one in ("3", "2.7", "3.13.0t", "3.8.x", "3.8.1.2", "pypy38", "3.99")),
    *({"torch": one} for one in ("2.1.0+cpu", "2.1", "v2.7.1")),
    *({"torch": one} for one in ("2.1.0.0", "02.1.0", "0!2.1.0", "2.5.1+CPU.cxx11-abi")),
    *({"torch": one} for one in ("2.1.0+cu118", "2.1.0-cu118", "2.6.0+rocm6.1")),
    *({"torch": one} for one in ("2.1.0 cpu", "2.1.0rc9", "two")),
    *({"adapter": one} for one in ("2.1.0.rc1", "2.1.0-RC.1", "2.5.1-1")),
    *({"adapter": one} for one in ("2.5.1.post1+git1", "2.1.0c1", "2.9.0.00")),
    *({"adapter": one} for one in ("2.1.0.post", "1!2.9.0", "2.9.0+", "2.9.0.dev", "2.9.0alpha", "2.9..0")),
    *({"cann": one} for one in ("8.5.01", "7.0.rc1", "cann-8.0.0")),
    *({"cann": one} for one in ("v8.2.RC1", "8.03", "CANN 8.0.0.0", "8.0.RC2.alpha2")),
    *({"cann": one} for one in ("8.5.x", "8", "CANN", "8.2.RC1.beta.1", "8.5.0.1")),
    *({"glibc": one} for one in ("glibc 2.28", "2.28-251.el8", "manylinux_2_28")),
    *({"glibc": one} for one in ("libc2.31", "2.028", "2.29")),
    *({"glibc": one} for one in ("ldd (Debian GLIBC 2.36-9+deb12u10) 2.36", "3.0")),
    *({"glibc": one} for one in ("2.1000", "abc", "musl 1.2")),
    *({"chip": one} for one in ("310p3", "Huawei  Ascend-310P3", "atlas 800i  a2")),
    *({"chip": one} for one in ("A9", "910B4-11", "?")),
    *({"date": one} for one in (" 2026-01-31 ", "2026-1-31", "0000-01-01", "2026-02-30", "20260131")),
    *({"os": one} for one in ("Alpine 3.19", "Ubuntu", "Ubuntu 21.10")),
    *({"os": one} for one in ("2.28", "Debian GNU/Linux 12", "debian12")),
    {"branch": "v2.1.0-5.0.rc3"}, {"branch": "v2.1.0-5.0.rc3", "python": "cp311"}, {"branch": "v0.0.0"},
    {"branch": "V2.1.0-5.0.RC3"}, {"branch": "v2.1.0-5.0.rc4"}, {"branch": "2.7.l"}, {"branch": "v2.7"},
    {"branch": "v21.0-5.O.rc3"}, {"branch": "master"},
    {"branch": "v2.1.0 5.0"}, {"torch": "2.1", "branch": "v2.7.1", "arch": "arm64"}, {"torch": "9" * 300},
    {"chip": "910B4-" + "1" * 40},
    {"os": "Ubuntu 20.04", "glibc": "2.28"}, {"glibc": "2.28", "os": "Debian 12"},
]  # fmt: skip


@cache
def on_day(shelf: Shelf, day: str) -> Shelf:
    """As the command has it for `--date`."""
    return Shelf(shelf.matrix, shelf.catalogue, date.fromisoformat(day))


def asked(shelf: Shelf, choice: dict[str, str]) -> tuple[str, Any]:
    """What the command answers to a choice: its wheel's key and the hashes, or what blocks and is near."""
    words: dict[str, Any] = {axis: value for axis, value in choice.items() if axis not in ("stage", "os")}
    try:
        assert not {"os", "glibc"} <= set(choice), "the command takes one of them"
        request = parse_request(**words, supported="stage" in choice)
        if "os" in choice:
            request = with_system(request, choice["os"], shelf.matrix)
    except (PickError, AssertionError):
        return "refused", None
    found = answer(shelf if request.date is None else on_day(shelf, request.date), request, {})
    if isinstance(found, NoFit):
        blocking = sorted(sorted(one.axis for one in conflict.blockers) for conflict in found.conflicts)
        near = [[one.offer.key, " ".join(sorted(one.changes))] for one in found.alternatives]
        return "nofit", [blocking, near]
    return "pick", [found.offer.key, list(found.pins)]


READ = """(hashes) => hashes.map((hash) => {
  history.replaceState(null, "", "#" + hash);
  dispatchEvent(new HashChangeEvent("hashchange"));
  const key = document.querySelector("#result [data-key]");
  const lock = document.querySelector("#lock");
  const text = lock ? decodeURIComponent(lock.getAttribute("href").split(",").slice(1).join(",")) : "";
  if (key) return ["pick", [key.dataset.key, text.split("\\n").filter((one) => one && !one.startsWith("#"))]];
  const sets = [...document.querySelectorAll("#result [data-conflict]")];
  const near = [...document.querySelectorAll("#result [data-near]")];
  return ["nofit", [sets.map((one) => one.dataset.conflict.split(" ").sort()),
    near.map((one) => [one.dataset.near, one.dataset.axes])]];
})"""


def shown(page: Page, choices: list[dict[str, str]]) -> list[tuple[str, Any]]:
    """What the page shows for each choice, given by its address."""
    hashes = ["&".join(f"{axis}={value}" for axis, value in one.items()) for one in choices]
    found = page.evaluate(READ, hashes)
    return [(kind, [sorted(one[0]), one[1]] if kind == "nofit" else one) for kind, one in found]


def values(page: Page) -> dict[str, list[str]]:
    """Every tile of every axis, and some days."""
    script = "(axis) => [...document.querySelectorAll(`#axis-${axis} .tile`)].map((one) => one.dataset.value)"
    return {**{axis: page.evaluate(script, axis) for axis in TILED}, "date": list(DAYS)}


# ----------------------------------------------------------------------------------------------------- picker
def test_every_value_by_address_is_what_the_command_picks(tab: Tab, site: Site) -> None:
    """Each tile alone, second names of CANN, days, systems, and a sample of pairs and more."""
    page = tab.open("index")
    tiles = values(page)
    assert sum(map(len, tiles.values())) > 130
    choices = [{axis: value} for axis in AXES for value in tiles[axis]]
    choices += [{"cann": one.name, "python": "3.11"} for one in site.shelf.matrix.document.cann_names]
    choices += SPELLINGS
    draw = random.Random(20261128)
    for _ in range(400):
        axes = draw.sample(AXES, draw.randint(2, 5))
        choices.append({axis: draw.choice(tiles[axis]) for axis in axes})
    for choice, found in zip(choices, shown(page, choices), strict=True):
        expected = asked(site.shelf, choice)
        if expected[0] == "refused":  # by the page as a value that nothing has
            axis = "glibc" if "os" in choice else next(iter(choice))
            expected = "nofit", [[[axis]], found[1][1]]
            found = found[0], [[one for one in found[1][0] if one == [axis]], found[1][1]]
        assert found == expected, choice


def versions_of_all_kinds() -> list[str]:
    """Texts that are versions of PEP 440 or nearly."""
    draw = random.Random(440)
    parts = (
        ("", "", "v", "V", "1!", "0!"), ("2.1", "2.1.0", "02.1", "2", "2.1.0.0", "10.20.30.40", "2."),
        ("", "", "a1", ".RC2", "-beta", "_c.3", "pre4", ".preview_5", "alpha-", "x1"),
        ("", "", "-1", ".post2", "post", "-r3", "rev", ".post.4", "--1"), ("", "", ".dev1", "dev", "-DEV_2"),
        ("", "", "+cpu", "+CU118", "+a-b_c.01", "+", " "),
    )  # fmt: skip
    return ["".join(map(draw.choice, parts)) for _ in range(2000)]


def test_versions_are_read_and_sorted_as_packaging_does(tab: Tab) -> None:
    """Of spellings of all kinds: whether it is one, its canonical name, and which of two is the newer."""
    texts = versions_of_all_kinds()
    found = tab.open("index").evaluate("""(texts) => texts.map((text, at) => {
      const { versionOf, compare } = window.wheelmill;
      const [one, other] = [versionOf(text), versionOf(texts[(at + 1) % texts.length])];
      return [one && one.name, one && one.local, one && other && compare(one.key, other.key)];
    })""", texts)  # fmt: skip

    def read(text: str) -> Version | None:
        try:
            return Version(text)
        except InvalidVersion:
            return None

    expected = []
    for at, text in enumerate(texts):
        one, other = read(text), read(texts[(at + 1) % len(texts)])
        order = None
        if one and other:
            keys = Version(one.public), Version(other.public)
            order = (keys[0] > keys[1]) - (keys[0] < keys[1])
        expected.append([one and one.public, one and (one.local or ""), order])
    assert sum(name is not None for name, _, _ in expected) > 500
    for text, got, wanted in zip(texts, found, expected, strict=True):
        assert got == wanted, text


def test_what_the_address_has_besides_is_told(tab: Tab) -> None:
    page = tab.open("index#cann=8.5.0&pytorch=2.1.0&line=x&installer=uv")
    said = page.locator("[data-strange]").text_content()
    assert said == "The address also has pytorch, line, which says nothing here."
    assert tab.open("index#cann=8.5.0").locator("[data-strange]").count() == 0
    page = tab.open("index#os=Ubuntu 20.04&glibc=2.28")
    said = page.locator("[data-conflict]").text_content()
    assert said == (
        "A system and a version of glibc are given (os=Ubuntu 20.04, glibc=2.28); give one of them."
    )
    page.locator('[data-change="glibc"]').first.click()  # and what is pressed is one value again
    page.locator("#result [data-key]").first.wait_for()
    assert page.locator("#result [data-key]").count() == 1
    page = tab.open("zh/index#os=Ubuntu 21.10")
    assert page.locator("[data-conflict]").text_content() == "不知道 Ubuntu 21.10 的 glibc 版本。"


@pytest.mark.parametrize(
    "choice", ["torch=2.1.0+cpu.cxx11.abi", "torch=2.1.0+cpu&arch=x86_64", "adapter=2.1.0.post3+git1",
               "torch=2.1.0+git1&python=3.14"],
)  # fmt: skip
def test_another_build_than_the_one_asked_for_is_told_as_by_the_command(
    tab: Tab, site: Site, choice: str
) -> None:
    words = dict(one.split("=") for one in choice.split("&"))
    notes = answer(site.shelf, parse_request(**words), {}).notes  # type: ignore[arg-type]
    page = tab.open(f"index#{choice}")
    told = [one.replace("PyTorch", "torch") for one in page.locator("[data-build]").all_text_contents()]
    assert told == [one["en"] for one in notes]


@pytest.mark.parametrize(
    "choice", ["glibc=2.5", "glibc=2.17&torch=2.9.0", "glibc=musl 1.2", "os=Alpine 3.19"]
)
@pytest.mark.parametrize("lang", LANGS)
def test_the_reason_of_a_c_library_is_that_of_the_command(
    tab: Tab, site: Site, lang: Lang, choice: str
) -> None:
    words: dict[str, Any] = dict(one.split("=") for one in choice.split("&"))
    page = tab.open(f"{'zh/' if lang == 'zh' else ''}index#{choice}")
    shown = " ".join(page.locator("[data-conflict], [data-needed]").all_text_contents())
    try:
        request = parse_request(**{axis: value for axis, value in words.items() if axis != "os"})
        if "os" in words:
            request = with_system(request, words["os"], site.shelf.matrix)
    except PickError as error:
        error.turn(lang)
        reasons = [error.message.partition(": " if lang == "en" else "：")[2], error.hint or ""]
    else:
        nofit = answer(site.shelf, request, {})
        assert isinstance(nofit, NoFit)
        blockers = [one for conflict in nofit.conflicts for one in conflict.blockers]
        reasons = [one.reason[lang] for one in blockers if one.axis == "glibc"]
    assert reasons
    for reason in reasons:
        assert reason in shown.replace("PyTorch", "torch")


@pytest.mark.timeout(3600)
@pytest.mark.on_demand
@pytest.mark.parametrize("arch", ["aarch64", "x86_64"])
def test_every_combination_by_address(tab: Tab, site: Site, arch: str) -> None:
    """CANN x torch x Python, each also left out: what the page shows is what the command answers."""
    page = tab.open("index")
    tiles = values(page)
    axes = ("cann", "torch", "python")
    rows = itertools.product(*([None, *tiles[axis]] for axis in axes))
    choices = [
        {"arch": arch, **{axis: value for axis, value in zip(axes, row, strict=True) if value}}
        for row in rows
    ]
    assert len(choices) > 3000
    for start in range(0, len(choices), 500):
        some = choices[start : start + 500]
        for choice, found in zip(some, shown(page, some), strict=True):
            assert found == asked(site.shelf, choice), choice


def test_every_axis_by_click(tab: Tab, site: Site) -> None:
    page = tab.open("index")
    page.locator("#exact summary").click()
    for axis in TILED:
        tiles = page.locator(f"#axis-{axis} .tile")
        tile = tiles.nth(min(1, tiles.count() - 1))
        value = tile.get_attribute("data-value") or ""
        tile.click()
        assert page.evaluate("decodeURIComponent(location.hash)") == f"#{axis}={value}"
        assert tile.get_attribute("aria-pressed") == "true"
        kind, picked = asked(site.shelf, {axis: value})
        assert (kind, picked[0]) == ("pick", page.locator("#result [data-key]").get_attribute("data-key"))
        page.locator(f"#axis-{axis} .clear").click()
        assert page.evaluate("location.hash") in ("", "#")


def test_a_day_by_its_field(tab: Tab, site: Site) -> None:
    """What had been published by then, with the stages of then; by mouse and keyboard, and cleared."""
    page = tab.open("index#cann=8.5.0")
    key, stage = page.locator("#result [data-key]"), page.locator("#result .stage")
    now = key.get_attribute("data-key")
    page.locator("#day").fill("2026-01-31")
    assert page.evaluate("location.hash") == "#cann=8.5.0&date=2026-01-31"
    told = real("--cann", "8.5.0", "--date", "2026-01-31")
    then = told["cell"]["key"], told["phase"]["stage"]
    assert (key.get_attribute("data-key"), stage.text_content()) == then
    assert now != told["cell"]["key"]
    page.go_back()
    assert (page.locator("#day").input_value(), key.get_attribute("data-key")) == ("", now)
    page.locator("#day").focus()
    page.keyboard.type("07012025")
    assert page.evaluate("location.hash") == "#cann=8.5.0&date=2025-07-01"
    assert page.locator("[data-conflict]").get_attribute("data-conflict") == "cann date"
    assert page.locator("[data-near]").first.get_attribute("data-axes") == "date"
    page.locator("#axis-date .clear").click()
    assert page.evaluate("location.hash") == "#cann=8.5.0"
    for wrong in ("yesterday", "2026-02-30", "20260131"):
        said = tab.open(f"index#date={wrong}").locator("[data-conflict]").text_content()
        assert said == f"{wrong} is not a day; one looks like 2026-07-27."
    said = tab.open("zh/index#date=2019-01-01").locator("[data-conflict]").text_content()
    assert said == "到 2019-01-01 还没有发布任何版本。"


@pytest.mark.parametrize("word", ["constructor", "__proto__", "toString"])
def test_a_name_that_every_object_has_is_no_value(tab: Tab, word: str) -> None:
    for axis in ("chip", "cann", "torch"):
        page = tab.open(f"index#{axis}={word}")
        assert page.locator("[data-conflict]").count() == 1, axis


def real(*words: str, code: int = 0) -> dict[str, Any]:
    """What the command itself answers."""
    done = subprocess.run(
        [sys.executable, "-m", "wheelmill", "pick", "--json", "--anywhere", *words],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT / "release")}, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == code
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_commands_are_those_of_the_real_command(tab: Tab) -> None:
    page = tab.open("index#cann=8.5.0&python=3.11&arch=x86_64")
    steps = real("--cann", "8.5.0", "--python", "3.11", "--arch", "x86_64")["steps"]
    for installer, name in (("pip", "commands"), ("uv", "uv")):
        page.locator(f'[data-installer="{installer}"]').click()
        lines = (page.locator("#commands").text_content() or "").splitlines()
        assert [one for one in lines if one and not one.startswith("#")] == [
            one for step in steps for one in step[name]
        ]
    assert "installer=uv" in page.url


def test_known_issues_are_those_of_the_real_command(tab: Tab) -> None:
    expected = real("--adapter", "1.11.0rc1")["issues"]
    assert len(expected) == 6
    page = tab.open("index#adapter=1.11.0rc1")
    page.locator("details.issues summary").click()
    assert page.locator("details.issues li").all_inner_texts() == expected
    assert tab.open("index#adapter=2.9.0").locator("details.issues").count() == 0


def test_what_cannot_be_chosen_says_why(tab: Tab) -> None:
    page = tab.open("index#cann=7.0.RC1")
    tile = page.locator('#axis-python .tile[data-value="3.11"]')
    why = tile.locator(".why")
    assert not why.is_visible()
    tile.hover()
    assert why.is_visible()
    assert why.text_content() == "Not with CANN 7.0.RC1. With it there is Python 3.7, 3.8, 3.9, 3.10."
    page.mouse.move(0, 0)
    page.locator('#axis-python .tile[data-value="3.10"]').focus()
    page.keyboard.press("ArrowRight")
    assert why.is_visible()
    assert tile.get_attribute("aria-describedby") == why.get_attribute("id")
    tile.click(force=True)  # it is not disabled for the browser, only marked so
    assert page.url.endswith("#cann=7.0.RC1")


def test_a_refusal_offers_what_does_fit(tab: Tab) -> None:
    page = tab.open("index#cann=7.0.RC1&python=3.11")
    assert page.locator("[data-nofit]").is_visible()
    assert page.locator('[data-change="python"]').all_text_contents() == ["3.7", "3.8", "3.9", "3.10"]
    page.locator('[data-change="python"][data-to="3.10"]').click()
    assert page.locator("[data-key]").is_visible()
    assert page.url.endswith("#cann=7.0.RC1&python=3.10")


def test_the_nearest_are_ranked_as_the_command_ranks_them(tab: Tab) -> None:
    page = tab.open("index#cann=7.0.RC1&python=3.11")
    data = real("--cann", "7.0.RC1", "--python", "3.11", code=1)
    expected = [[one["cell"]["key"], " ".join(sorted(one["changes"]))] for one in data["alternatives"]]
    near = page.locator("[data-near]")
    assert near.evaluate_all("all => all.map((one) => [one.dataset.near, one.dataset.axes])") == expected
    assert len(expected) > 2
    near.first.locator("button").click()
    assert page.locator("#result [data-key]").get_attribute("data-key") == expected[0][0]
    page.go_back()
    assert page.locator("[data-nofit]").is_visible()


def test_the_hashes_are_a_file_that_holds_what_the_command_knows(tab: Tab, tmp_path: Path) -> None:
    page = tab.open("index#cann=8.5.0&python=3.11&arch=aarch64")
    with page.expect_download() as started:
        page.locator("#lock").click()
    assert started.value.suggested_filename == "torch_npu-2.9.0.txt"
    started.value.save_as(tmp_path / "pins.txt")
    head, *lines = (tmp_path / "pins.txt").read_text().splitlines()
    assert head == "# pip install --no-deps --require-hashes -r torch_npu-2.9.0.txt"
    assert lines == real("--cann", "8.5.0", "--python", "3.11", "--arch", "aarch64")["pins"]
    names = [line.partition(" ")[0] for line in lines]
    assert names == ["torch==2.9.0", "torch_npu==2.9.0"]
    tab.requests[:] = [url for url in tab.requests if not url.startswith("data:text/plain")]  # the file


def test_back_forward_and_the_other_language_keep_the_choice(tab: Tab) -> None:
    page = tab.open("index")
    page.locator('#axis-cann .tile[data-value="8.5.0"]').click()
    page.locator('#axis-python .tile[data-value="3.10"]').click()
    page.go_back()
    assert page.locator('#axis-python .tile[data-value="3.10"]').get_attribute("aria-pressed") == "false"
    page.go_forward()
    assert page.locator('#axis-python .tile[data-value="3.10"]').get_attribute("aria-pressed") == "true"
    key = page.locator("[data-key]").get_attribute("data-key")
    page.locator("#language").click()
    page.wait_for_url("**/zh/index.html#*")
    assert page.locator("html").get_attribute("lang") == "zh-CN"
    assert page.locator("[data-key]").get_attribute("data-key") == key
    assert "安装 PyTorch" in (page.locator("#commands").text_content() or "")


def test_copying(tab: Tab) -> None:
    page = tab.open("index#cann=8.5.0")
    page.locator("#copy").click()
    page.wait_for_function("document.getElementById('copy').textContent === 'Copied'")


def test_with_the_keyboard_alone(tab: Tab) -> None:
    """One stop per axis; arrows move within it, Enter chooses, the legend's button clears."""
    page = tab.open("index")
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.dataset.axis") == "cann":
            break
    assert page.evaluate("document.activeElement.dataset.axis") == "cann"
    page.keyboard.press("ArrowRight")
    value = page.evaluate("document.activeElement.dataset.value")
    page.keyboard.press("Enter")
    assert page.evaluate("decodeURIComponent(location.hash)") == f"#cann={value}"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.dataset.axis") == "torch"
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") in ("", "#")


@pytest.mark.parametrize("name", [*(one for one in PAGES if one != "index"), "zh/explain"])
def test_every_page_with_the_keyboard_alone(tab: Tab, name: str) -> None:
    """The first stop skips to the content; Tab reaches all that can be used, each in sight with a mark."""
    page = tab.open(name)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.matches('.skip') && document.activeElement.offsetLeft >= 0")
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#content"
    page = tab.open(name)
    wanted = page.evaluate("""() => [...document.querySelectorAll(
      "a[href], button, input, select, textarea, summary, [tabindex='0']")].filter(
      (one) => one.checkVisibility() && one.tabIndex >= 0
      ).map((one, at) => (one.dataset.stop = at)).length""")
    looked = """() => {
      const one = document.activeElement, box = one.getBoundingClientRect(), style = getComputedStyle(one);
      const seen = box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
      return [one.dataset.stop, seen && style.outlineStyle !== "none"];
    }"""
    stops = []
    for _ in range(wanted):
        page.keyboard.press("Tab")
        stops.append(page.evaluate(looked))
    assert [stop for stop, seen in stops if not seen] == []
    assert {stop for stop, _ in stops} == {str(at) for at in range(wanted)}


def test_what_is_folded_opens_by_key(tab: Tab) -> None:
    page = tab.open("explain")
    page.locator("#text").focus()
    page.keyboard.type("RuntimeError: No NPUs are available")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.locator(".answer").get_attribute("data-id") == "no-npu"
    page.locator("details.failure summary").first.focus()
    page.keyboard.press("Enter")
    assert page.locator("details.failure").first.get_attribute("open") is not None


# ------------------------------------------------------------------------------------------- the other pages
def test_the_explainer_finds_what_the_command_finds(tab: Tab) -> None:
    """Every message of the fixtures, alone and in a log: the same failures, order and values."""
    page = tab.open("explain")
    texts = [path.read_text(encoding="utf-8") for path in FIXTURES]
    texts += [f"INFO\r\n\x1b[31m{text}\x1b[0m\nINFO" * 2 for text in texts]
    texts += [f"1%\r{colors.format(texts[at])}\r\r\n" for at, colors in enumerate(COLORED)]
    script = """(texts) => {
      const rows = JSON.parse(document.getElementById("data").textContent).failures;
      const one = (hit) => [hit.failure.id, hit.line, hit.values];
      return texts.map((text) => window.wheelmill.explain(text, rows).map(one));
    }"""
    for text, found in zip(texts, page.evaluate(script, texts), strict=True):
        expected = explain(text, failures(), SymbolTable()).matches
        assert found == [[one.failure.id, one.line, dict(one.values)] for one in expected], text
    mangled = ["_ZNK3c1010TensorImpl20is_contiguous_customENS_12MemoryFormatE", "MsprofSysCycleTime"]
    mangled += ["_ZN99999x", "_ZN5torch10ValueErrorC1EPKcz", "_ZTVN3c105ErrorE"]
    names = page.evaluate("(all) => all.map(window.wheelmill.qualified)", mangled)
    assert names == [qualified(one) for one in mangled]


def test_pasting_an_error(tab: Tab) -> None:
    page = tab.open("zh/explain")
    text = (ROOT / "tests/pick/failures/cann-library-missing.txt").read_text(encoding="utf-8")
    page.locator("#text").fill(text)
    page.locator("#explain button").click()
    assert page.locator(".answer").get_attribute("data-id") == "cann-library-missing"
    assert page.locator(".answer h2").text_content() == "找不到 CANN 的库（libhccl.so）"
    assert "source /usr/local/Ascend" in (page.locator(".answer pre").text_content() or "")
    assert page.locator("#found li").get_attribute("data-id") == "autoload-failed"
    assert page.locator(".answer code", has_text="wheelmill doctor").count() == 1
    page.locator("#text").fill("<img src=x onerror=alert(1)> all is well")
    page.locator("#explain button").click()
    assert page.locator(".answer").get_attribute("data-id") == ""


def test_filters_of_the_table(tab: Tab, site: Site) -> None:
    page = tab.open("table")
    page.locator("[name=text]").fill("8.5.0")
    wanted = [one for one in site.versions if one["cann"] == "8.5.0"]
    rows = page.locator("table.versions tbody tr:not([hidden])")
    assert rows.count() >= len(wanted) > 0
    page.locator("[name=text]").fill("")
    page.locator("[name=python]").select_option("3.14")
    assert (
        page.locator("#count").text_content()
        == f"{len([o for o in site.versions if '3.14' in o['pythons']])} rows"
    )
    page.locator("[name=python]").select_option("")
    page.locator("[name=stage]").select_option("eol")
    assert page.locator("details.ended").get_attribute("open") is not None
    header = page.locator("#ended thead th").first
    page.locator("#ended tbody tr").last.scroll_into_view_if_needed()
    assert header.bounding_box()["y"] >= 0  # type: ignore[index]


def test_looking_up_a_sum(tab: Tab, site: Site) -> None:
    page = tab.open("verify")
    wheel = site.wheels[7]
    page.locator("#lookup input").fill(wheel["sha256"].upper())
    rows = page.locator("#sums tbody tr:not([hidden])")
    assert rows.count() == 1
    assert wheel["file"] in (rows.first.text_content() or "")
    page.locator("#lookup input").fill("no such")
    assert page.locator("#lookup output").text_content() == "No wheel that is recorded here has that."


def test_without_javascript(browser: Browser, folder: Path) -> None:
    """The full tables, every version's commands, and no control that does nothing."""
    context = browser.new_context(java_script_enabled=False)
    tab = Tab(context, folder)
    page = tab.open("index")
    assert page.locator("noscript table tbody tr, table#plain tbody tr").count() > 30
    assert not page.locator("#picker").is_visible()
    page.locator("table#plain a", has_text="2.12.0.post2").click()
    assert "torch_npu==2.12.0.post2" in (page.locator("pre").first.text_content() or "")
    page = tab.open("table")
    assert not page.locator("#filters").is_visible()
    page.locator("details.ended summary").click()
    assert page.locator("#ended tbody tr").first.is_visible()
    assert not tab.open("explain").locator("#explain").is_visible()
    context.close()


@pytest.mark.parametrize("odd", ["#%", "#%E0%A4%A", "?%&x=%#a%", "#__proto__", "#text", '#"><b>', "#=&&=%00"])
def test_an_odd_address_stops_no_script(tab: Tab, odd: str) -> None:
    """Whatever stands behind the name of a page, its script runs to its end."""
    shown = {"index": "#result h2", "explain": "#explain", "table": "#filters", "verify": "#lookup"}
    for name in PAGES:
        page = tab.page
        page.goto((tab.folder / f"{name}.html").as_uri() + odd)
        if name in shown:
            assert page.locator(shown[name]).is_visible(), name
        page.evaluate(
            "history.replaceState(null, '', '#%'); dispatchEvent(new HashChangeEvent('hashchange'))"
        )
    page = tab.open("explain#cann-library-missing")
    assert page.locator("details#cann-library-missing").get_attribute("open") is not None


LONG = ("index#cann=7.0.RC1&python=3.11", "index#torch=" + "9" * 150, "index#os=" + "x" * 150, "explain#long")


@pytest.mark.parametrize("width", [320, 390])
def test_no_page_is_wider_than_a_narrow_screen(browser: Browser, folder: Path, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 700})
    tab = Tab(context, folder)
    wide = {}
    for name in [*PAGES, *LONG]:
        for lang in ("", "zh/"):
            page = tab.open(lang + name)
            if name == "explain#long":
                text = f"ImportError: /{'x' * 300}/libhccl.so: undefined symbol: {'y' * 300}"
                page.locator("#text").fill(text)
                page.locator("#explain button").click()
            if (shown := page.evaluate("document.documentElement.scrollWidth")) > width:
                wide[lang + name] = shown
            own = page.locator(".top nav [aria-current]").bounding_box()  # where one is, of the pages
            assert own is not None
            assert 0 <= own["x"] < own["x"] + own["width"] <= width, lang + name
    context.close()
    assert wide == {}


def test_a_narrow_screen(browser: Browser, folder: Path) -> None:
    """No page scrolls sideways; a reason stays within the screen; the answer is one tap away."""
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True)
    tab = Tab(context, folder)
    for name in (*PAGES, *(f"zh/{name}" for name in PAGES)):
        page = tab.open(name)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, name
    page = tab.open("index#cann=7.0.RC1")
    tile = page.locator('#axis-python .tile[data-value="3.14"]')
    tile.focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowRight")
    box = tile.locator(".why").bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390
    page.locator("#peek").click()
    assert page.locator("#commands").is_visible()
    box = tab.open("timeline").locator("line.today").bounding_box()
    assert box is not None
    assert 0 < box["x"] < 390
    context.close()


def test_on_paper(browser: Browser, folder: Path) -> None:
    """Nothing is cut at the edge of an A4 page with usual margins, and nothing is there to be pressed."""
    context = browser.new_context(viewport={"width": 680, "height": 960}, color_scheme="dark")
    tab = Tab(context, folder)
    cut = """() => [...document.querySelectorAll(":root, .scroll, pre, table, svg")].filter(
      (one) => one.scrollWidth > one.clientWidth + 1 && one.clientWidth
        || one.getBoundingClientRect().right > 681
    ).map((one) => one.outerHTML.slice(0, 80))"""
    for name in (
        *PAGES,
        *(f"zh/{name}" for name in PAGES),
        "index#cann=8.5.0",
        "index#cann=7.0.RC1&python=3.11",
    ):
        page = tab.open(name)
        page.emulate_media(media="print")
        assert page.evaluate(cut) == [], name
        pressed = ".button:visible, textarea:visible, select:visible, [download]:visible"
        assert page.locator(pressed).count() == 0, name
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    context.close()


STATES = ("index#cann=8.5.0&branch=v2.9.0", "index#cann=7.0.RC1&python=3.11", "explain#found")


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("lang", ["", "zh/"])
def test_accessibility(browser: Browser, folder: Path, scheme: Any, lang: str, width: int) -> None:
    """axe-core finds nothing on any page, in both languages and color schemes, also on a narrow screen."""
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True
    )
    tab = Tab(context, folder)
    # Rows of a table are alike: the first few of each are looked at.
    script = """async () => (await axe.run({exclude: [["tbody tr:nth-child(n+6)"]]})).violations.map(
      (one) => [one.id, one.nodes[0].html])"""
    found = []
    for name in (*PAGES, *STATES):
        page = tab.open(lang + name)
        if name == "explain#found":
            page.locator("#text").fill(FIXTURES[6].read_text(encoding="utf-8"))
            page.locator("#explain button").click()
            page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
        page.add_script_tag(path=AXE)
        found += [(name, *one) for one in page.evaluate(script)]
    context.close()
    assert found == []

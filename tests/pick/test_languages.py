"""No Chinese answer or error holds an English sentence, nor does a text that they are made of."""

from __future__ import annotations

import ast
import dataclasses
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from wheelmill.catalogue import Catalogue
from wheelmill.cli import _misused, cli
from wheelmill.describe import load
from wheelmill.errors import WheelmillError
from wheelmill.notes import load as load_notes
from wheelmill.pick import Pick, Request, Shelf, answer, parse_request, render_text, to_json, with_system
from wheelmill.pick.doctor import report as doctor
from wheelmill.pick.failures import failures
from wheelmill.pick.failures import report as explaining
from wheelmill.pick.package_text import render_text as render_package
from wheelmill.pick.words import SENTENCES
from wheelmill.pick.words import told as both

from tests.matrix.small import COMPAT
from tests.pick.asking import MATRIX, SHELF, TODAY
from tests.pick.english import english
from tests.pick.test_packages import FILE, ask

ROOT = Path(__file__).parents[2]


def texts() -> Iterator[tuple[str, Any]]:
    """Where a text is, and the text itself in Chinese."""
    yield from ((f"sentence {name}", zh) for name, (_, zh) in SENTENCES.items())
    yield from ((f"doctor {name}", row["zh"]) for name, row in {**doctor._WORDS, **doctor.MARKS}.items())
    yield from ((f"explain {name}", row["zh"]) for name, row in explaining._WORDS.items())
    for name, row in doctor.rows().items():
        yield from ((f"finding {name}: {part}", row[part]["zh"]) for part in ("title", "detail"))
    for one in failures():
        parts = {"title": one.title, "cause": one.cause, "cure": one.cure}
        yield from ((f"failure {one.id}: {name}", part["zh"]) for name, part in parts.items())
    document = MATRIX.document
    yield from ((f"document {one.name}", one.zh) for one in document.sources)
    reasons: list[Any] = [*document.lines, *(one.published for one in document.lines), *document.systems]
    reasons += [one.override for one in document.series]
    yield from ((f"reason {one.reason:.40}", one.zh) for one in reasons if one is not None and one.reason)
    for issue in load_notes(ROOT / "release/notes", MATRIX).note("3.0.RC3").known:
        yield f"issue {issue.id}", issue.on("zh")


@pytest.mark.parametrize(("where", "text"), [pytest.param(*one, id=one[0]) for one in texts()])
def test_every_text_is_chinese(where: str, text: str | None) -> None:
    assert text is not None, f"{where}: there is none in Chinese"
    assert english(text) == []


def answers() -> Iterator[Pick | Any]:
    """Every wheel, every record, every system and chip, and conflicts of every kind."""
    everything = (*SHELF.offers, *SHELF.records)
    for adapter in sorted({one.adapter for one in everything}):
        yield answer(SHELF, Request(adapter=adapter), {})
        yield answer(SHELF, Request(adapter=adapter, stage="supported"), {})
    for branch in sorted({one.branch for one in everything if one.branch}):
        yield answer(SHELF, Request(branch=branch), {"python": "3.7", "cann": "8.5.0", "glibc": "2.17"})
    for system in MATRIX.document.systems:
        yield answer(SHELF, with_system(parse_request(cann="8.0.0"), system.title, MATRIX), {})
    for chip in MATRIX.document.chips:
        yield answer(SHELF, parse_request(chip=chip.name, cann="7.0.RC1"), {})
    for name in MATRIX.document.cann_names:
        yield answer(SHELF, Request(cann=name.name), {})
    values = {
        "python": ("3.6", "3.8", "3.14"), "torch": ("1.8.1", "2.7.0", "2.13.0", "2.15.0"),
        "cann": ("8.3", "5.1.RC2", "7.0.RC1", "9.9.9"), "glibc": ("2.17", "2.28"), "arch": ("aarch64",),
        "date": ("2019-01-01", "2025-06-30"), "adapter": ("2.9.1", "2.1.0.post4", "9.9.9"),
        "branch": ("v0", "v2.13.0"), "chip": ("710", "950PR"),
    }  # fmt: skip
    for one, other in itertools.combinations(values, 2):
        for mine, theirs in itertools.product(values[one], values[other]):
            yield answer(SHELF, Request(**{one: mine, other: theirs}), {})
    wheels = [dataclasses.replace(one, yanked=True) for one in SHELF.catalogue.records[0].wheels]
    record = dataclasses.replace(SHELF.catalogue.records[0], wheels=tuple(wheels))
    yanked = Shelf(MATRIX, Catalogue((record,)), TODAY)
    yield from (answer(yanked, Request(adapter=one), {}) for one in ("2.9.0", "2.9.1"))
    gone = Shelf(MATRIX, Catalogue((dataclasses.replace(record, wheels=record.wheels[:1]),)), TODAY)
    yield from (answer(gone, Request(adapter=one.adapter), {}) for one in MATRIX.lines)


def test_every_answer_is_chinese() -> None:
    """The text, apart from what is run, and the JSON's sentences."""
    told, seen = 0, set[str]()
    for found in answers():
        for line in render_text(found, lang="zh").splitlines():
            if line.startswith("#   ") or (isinstance(found, Pick) and not line.startswith("#")):
                continue  # a command
            if line not in seen:
                seen.add(line)
                assert english(line) == [], line
                told += 1
        for sentence in sentences(to_json(found, "zh")):
            assert english(sentence) == [], sentence
    assert told > 1000


def sentences(data: Any, name: str = "") -> Iterator[str]:
    """What is told in an answer's JSON; names and commands are not."""
    if isinstance(data, dict):
        for key, value in data.items():
            yield from sentences(value, key)
    elif isinstance(data, list):
        for value in data:
            yield from sentences(value, name)
    elif isinstance(data, str) and name in ("reason", "title", "notes", "warnings", "issues"):
        yield data


def test_answers_about_described_projects_are_chinese(tmp_path: Path) -> None:
    (tmp_path / "wheelmill.toml").write_text(FILE)
    described = load(tmp_path / "wheelmill.toml", MATRIX.torches)
    asked: list[dict[str, str]] = [
        {}, {"soc": "a3", "arch": "aarch64"}, {"torch": "2.14.0"}, {"torch": "2.12.0"}, {"version": "9.9"},
        {"soc": "a2", "torch": "2.13.0", "glibc": "2.17"}, {"soc": "a2", "arch": "aarch64", "python": "3.12"},
    ]  # fmt: skip
    kinds = set()
    for words in asked:
        found = ask(described, prefer={"python": "3.12", "arch": "x86_64"}, **words)
        kinds.add(found.offer and found.offer.how)
        text = render_package(found, lang="zh")
        assert [line for line in text.splitlines() if english(line) and line not in found.commands] == []
        assert re.search(r"[\u4e00-\u9fff]", text)
    assert kinds == {"index", "build", None}


def refusal(*words: str) -> WheelmillError:
    """The error of a command for a Chinese reader."""
    with pytest.raises(WheelmillError) as caught:
        cli.main([words[0], "--lang", "zh", *words[1:]], prog_name="wheelmill", standalone_mode=False)
    return caught.value


LONG = "9" * 300
REFUSED = [
    *(["pick", f"--{axis}", value] for value in ("?", "seven (of nine)", LONG) for axis in (
        "cann", "torch", "python", "arch", "adapter", "branch", "glibc", "chip", "date", "os", "index-url",
    )),
    ["pick", "--os", "Windows 11"], ["pick", "--os", "Alpine 3.19"], ["pick", "--glibc", "musl"],
    ["pick", "--date", "2026-02-30"], ["pick", "--glibc", "2.99999"],
    ["pick", "--os", "Ubuntu 20.04", "--glibc", "2.31"], ["pick", "--axis", "soc=a2"],
    ["pick", "--cann", "8.5.0", "--python", "3.11", "--arch", "aarch64", "--pylock", "lock.toml"],
    ["pick", "--branch", "v2.13.0", "--pylock", "pylock.toml"],
    ["doctor", "--python", "/nowhere/python"], ["doctor", "--python", "/bin/false"],
    ["explain", "/nowhere/a.txt"], ["explain", "/"], ["explain", "--"], ["explain", "a.txt", "--", "true"],
    ["explain", "--", "/nowhere/a"],
]  # fmt: skip


@pytest.mark.parametrize("words", REFUSED, ids=lambda words: " ".join(words)[:60])
def test_every_error_is_chinese(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It quotes what was given, and what the system or a program said."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WHEELMILL_MATRIX", str(COMPAT))
    error = refusal(*words)
    for text in (error.message, error.hint or ""):
        told = re.sub(r"'[^']*'", "‹›", text)
        assert english(told) == []
        assert (
            re.search(r"[\u4e00-\u9fff]", told)
            or not text
            or told == f"{words[-1]}：“No such file or directory”。"
        )
    assert error.label == "错误："
    with pytest.raises((WheelmillError, click.UsageError)) as other:
        cli.main([words[0], "--lang", "en", *words[1:]], prog_name="wheelmill", standalone_mode=False)
    assert not re.search(r"[\u4e00-\u9fff]", str(other.value))
    assert other.value.exit_code == error.exit_code


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["pick", "--cannn", "8"], "没有选项 --cannn。是否指 --cann"),
        (["pick", "--installer", "conda"], "--installer 的值无效；可选：pip、uv。"),
        (["pick", "--torch"], "选项 --torch 需要一个值。"),
        (["pick", "--supported=3"], "选项 --supported 不带值。"),
        (["pick", "x", "y"], "多余的参数：x y"),
        (["doctor", "x"], "多余的参数：x"),
        (["explain", "--nix"], "没有选项 --nix。"),
        (["explain", "--nix", "--", "x", "--lang", "en"], "没有选项"),
    ],
)
def test_what_click_refuses_is_told_in_chinese(
    words: list[str], says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By --lang wherever it stands, else by the locale; and a program gets the English of click."""
    chosen = [words[0], "--lang", "zh", *words[1:]]
    for line, locale in (
        (chosen, "C"),
        (words, "zh_CN.UTF-8"),
        ([*chosen[:1], "--lang=zh", *words[1:]], "C"),
    ):
        error = misused(line, locale, monkeypatch, capsys)
        assert error.startswith(f"错误：{says}")
        assert f"`wheelmill {words[0]} --help`" in error
        assert english(error) == []
    for line in ([words[0], "--json", *chosen[1:]], [words[0], "--lang", "en", *words[1:]]):
        assert "Error: " in misused(line, "zh_CN.UTF-8", monkeypatch, capsys)


@pytest.mark.parametrize("command", ["pick", "doctor", "explain"])
def test_a_language_that_is_none_is_answered_with_those_there_are(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = misused([command, "--lang", "fr"], "C", monkeypatch, capsys)
    assert "'--lang': 'fr' is not a language of this command; there are en (English) and zh (中文)." in said
    said = misused([command, "--lang", "fr"], "zh_CN.UTF-8", monkeypatch, capsys)
    assert said.startswith("错误：--lang 的值无效；可选：en（English）、zh（中文）。")


@pytest.mark.parametrize("written", ["zh-CN", "zh_CN.UTF-8", "ZH"])
def test_a_language_is_known_as_locales_write_it(
    written: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cli.main(["pick", "--anywhere", "--lang", written], prog_name="wheelmill", standalone_mode=False)
    assert "阶段：" in capsys.readouterr().out
    said = misused(["pick", "--lang", written, "--torch"], "C", monkeypatch, capsys)
    assert said.startswith("错误：选项 --torch 需要一个值。")


def misused(
    words: list[str], locale: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> str:
    """What `wheelmill` says to a wrong command line."""
    monkeypatch.setenv("LC_ALL", locale)
    monkeypatch.setattr("sys.argv", ["wheelmill", *words])
    with pytest.raises(click.UsageError) as caught:
        cli.main(prog_name="wheelmill", standalone_mode=False)
    assert _misused(caught.value) == 2
    return capsys.readouterr().err


def test_an_error_in_a_file_says_in_chinese_what_it_is_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "compat.yaml").write_text("no matrix")
    monkeypatch.setenv("WHEELMILL_MATRIX", str(tmp_path / "compat.yaml"))
    for command in ("pick", "doctor"):
        error = refusal(command)
        assert error.label == "错误："
        assert error.message.startswith("矩阵有误；详情只有英文：\n")
        assert "compat.yaml:1: error: " in error.message


def test_errors_about_described_projects_are_chinese(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "wheelmill.toml").write_text(FILE)
    monkeypatch.chdir(tmp_path)
    for words in (
        ["--chip", "910B", "--cann", "8.5.0"], ["-a", "soc"], ["--python", "x"], ["--glibc", "new"],
        ["--adapter", "?"], ["--date", "2026-01-01"], ["--arch", "risc"],
    ):  # fmt: skip
        error = refusal("pick", *words)
        for text in (error.message, error.hint or "无"):
            assert english(re.sub(r"'[^']*'", "‹›", text)) == []
            assert re.search(r"[\u4e00-\u9fff]", text)


# What these say is about files of the checkout, and read by who changes them.
FOR_MAINTAINERS = (
    "pick/readme.py",
    "pick/failures/load.py",
    "pick/failures/symbols.py",
    "pick/site/build.py",
    "pick/site/feeds.py",
)


def test_no_error_of_picking_is_written_in_one_language() -> None:
    """Its message is no literal where it is raised: it comes from the sentences, which have both."""
    package, found, seen = ROOT / "release/wheelmill", [], 0
    files = [
        *(package / "pick").rglob("*.py"),
        *(package / f"cli/{one}.py" for one in ("pick", "doctor", "explain")),
    ]
    for file in files:
        if str(file.relative_to(package)) in FOR_MAINTAINERS:
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                words = [*node.exc.args, *(one.value for one in node.exc.keywords)]
                seen += len(words)
                if any(isinstance(one, (ast.Constant, ast.JoinedStr, ast.BinOp)) for one in words):
                    found.append(f"{file.name}:{node.lineno}")
    assert found == []
    assert seen > 30


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("行 v1（torch_npu 1.8.1）：PyTorch 1.8.1 is from the beginning", ["is", "from", "the"]),
        ("请运行 `pip install torch for the win`，然后 source /usr/a/of/set_env.sh", []),
        ("The row was dropped", ["The", "was"]),
        ("Kylin Linux Advanced Server V10 的 glibc", []),
    ],
)
def test_english_is_recognized(text: str, found: list[str]) -> None:
    """By the small words that no sentence does without; names, options and code are none."""
    assert english(text) == found


def test_what_the_matrix_has_in_one_language_is_told_in_it() -> None:
    """A matrix of another project need not have Chinese."""
    assert both("why", None) == {"en": "why", "zh": "why"}
    assert COMPAT.is_file()

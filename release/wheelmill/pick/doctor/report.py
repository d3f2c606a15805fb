"""A diagnosis as text for people, in one language, and as a dictionary for programs, with both."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any
from unicodedata import east_asian_width

from wheelmill.pick.doctor.checks import Found
from wheelmill.pick.doctor.facts import Facts
from wheelmill.pick.doctor.machine import python_word
from wheelmill.pick.failures.model import fill
from wheelmill.pick.model import LANGS, Lang

WIDTH = 100
MARKS: Mapping[str, Mapping[Lang, str]] = {
    "error": {"en": "wrong", "zh": "错误"},
    "warning": {"en": "warning", "zh": "警告"},
    "note": {"en": "note", "zh": "提示"},
}
_WORDS: Mapping[str, Mapping[Lang, str]] = {
    "python": {"en": "Python", "zh": "Python"},
    "system": {"en": "system", "zh": "系统"},
    "torch": {"en": "torch", "zh": "torch"},
    "torch_npu": {"en": "torch_npu", "zh": "torch_npu"},
    "cann": {"en": "CANN", "zh": "CANN"},
    "driver": {"en": "NPU driver", "zh": "NPU 驱动"},
    "npus": {"en": "NPUs", "zh": "NPU"},
    "import": {"en": "import", "zh": "导入"},
    "absent": {"en": "not installed", "zh": "未安装"},
    "none": {"en": "none seen", "zh": "未发现"},
    "unloaded": {"en": "{version} in {home}, not loaded", "zh": "{version}，位于 {home}，未加载"},
    "loaded": {"en": "{version} in {home}", "zh": "{version}，位于 {home}"},
    "unknown": {"en": "of unknown version", "zh": "版本未知"},
    "in": {"en": " (in {name})", "zh": "（容器：{name}）"},
    "colon": {"en": ": ", "zh": "："},
    "ok": {"en": "works ({seconds:.1f} s)", "zh": "正常（{seconds:.1f} 秒）"},
    "failed": {"en": "fails", "zh": "失败"},
    "hung": {"en": "does not end", "zh": "无响应"},
    "skipped": {"en": "not tried", "zh": "未尝试"},
    "well": {"en": "Nothing is wrong.", "zh": "没有发现问题。"},
}


@cache
def rows() -> Mapping[str, Mapping[str, Any]]:
    """The rows of findings.yaml by id."""
    import yaml

    text = (Path(__file__).parent / "findings.yaml").read_text(encoding="utf-8")
    return {row["id"]: row for row in yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))}


def severity(found: Found) -> str:
    """error, warning or note."""
    return str(rows()[found.id]["severity"])


def words(found: Found, name: str, lang: Lang) -> str:
    """The title or detail of a finding in one language, with its values."""
    values = {key: one if isinstance(one, str) else one[lang] for key, one in found.values.items()}
    return fill(rows()[found.id][name][lang], values)


def to_json(facts: Facts, found: Sequence[Found]) -> dict[str, Any]:
    """The facts and findings for programs."""
    return {
        "facts": facts.to_json(),
        "findings": [
            {
                "id": one.id,
                "severity": severity(one),
                "title": {lang: words(one, "title", lang) for lang in LANGS},
                "detail": {lang: words(one, "detail", lang) for lang in LANGS},
                "commands": list(one.commands),
            }
            for one in found
        ],
    }


def render(facts: Facts, found: Sequence[Found], lang: Lang) -> str:
    """The facts, one a line; then each finding with the commands that mend it."""
    shown = {_WORDS[name][lang]: text for name, text in _facts(facts, lang).items()}
    width = max(map(_columns, shown))
    lines = [f"{name}{' ' * (width - _columns(name))}  {text}" for name, text in shown.items()]
    for one in found:
        mark = MARKS[severity(one)][lang] + _WORDS["colon"][lang]
        lines += ["", mark + words(one, "title", lang)]
        lines += _paragraph(words(one, "detail", lang))
        lines += [f"    {command}" for command in one.commands]
    if not any(severity(one) == "error" for one in found):
        lines += ["", _WORDS["well"][lang]]
    return "\n".join(lines)


def _facts(facts: Facts, lang: Lang) -> dict[str, str]:
    interpreter, cann, driver = facts.interpreter, facts.cann, facts.driver
    where = fill(_WORDS["in"][lang], {"name": facts.container}) if facts.container else ""
    libc = " ".join(interpreter.libc).strip()
    absent = _WORDS["absent"][lang]

    def version(name: str) -> str:
        package = interpreter.packages.get(name)
        return package.version if package else absent

    shown = python_word(
        interpreter.implementation, interpreter.version, free_threaded=interpreter.free_threaded
    )
    found = {
        "python": f"{shown}, {interpreter.arch}, {libc} ({interpreter.executable})",
        "system": f"{facts.system}{where}",
        "torch": version("torch"),
        "torch_npu": version("torch-npu"),
        "cann": absent,
        "driver": driver.version or absent,
        "npus": ", ".join(driver.chips or driver.devices) or _WORDS["none"][lang],
        "import": _WORDS[facts.imported.ended][lang].format(seconds=facts.imported.seconds),
    }
    if cann is not None:
        form = _WORDS["loaded" if cann.sourced else "unloaded"][lang]
        found["cann"] = form.format(version=cann.version or _WORDS["unknown"][lang], home=cann.home)
    return found


def _columns(text: str) -> int:
    """How many columns of a terminal a text takes: a Chinese character has two."""
    return sum(2 if east_asian_width(one) in "WF" else 1 for one in text)


def _paragraph(text: str) -> list[str]:
    kept = text.strip()
    return textwrap.wrap(
        kept,
        WIDTH,
        initial_indent="  ",
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,
    )

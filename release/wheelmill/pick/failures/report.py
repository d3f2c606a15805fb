"""An explanation as text for people, in English or Chinese, and as a dictionary for programs with both."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from wheelmill.pick.failures.model import Explanation, Match, Recorded, Symbol
from wheelmill.pick.model import LABELS, Lang

WIDTH = 100
_WORDS: Mapping[str, Mapping[Lang, str]] = {
    "line": {"en": "line {line}: ", "zh": "第 {line} 行："},
    "why": {"en": "Why: ", "zh": "原因："},
    "do": {"en": "Do: ", "zh": "处理："},
    "symbol": {"en": "Symbol: ", "zh": "符号："},
    "belongs": {"en": "{name} ({owner})", "zh": "{name}（属于 {owner}）"},
    "since": {"en": "{package} has it since {since}", "zh": "{package} 自 {since} 起才有"},
    "until": {"en": "{package} has it up to {until}", "zh": "{package} 到 {until} 为止才有"},
    "has": {
        "en": "Of torch {first} to {last}, these have it{on}: {ranges}.",
        "zh": "torch {first} 至 {last} 中，{on}具有该符号的是：{ranges}。",
    },
    "lacks": {
        "en": "Of torch {first} to {last}, none has it{on}.",
        "zh": "torch {first} 至 {last} 中，{on}没有任何版本具有该符号。",
    },
    "on": {"en": " on {arch}", "zh": "在 {arch} 上"},
    "to": {"en": " to ", "zh": " 至 "},
    "and": {"en": ", ", "zh": "、"},
    "take": {
        "en": "The newest of them with a {name} is {torch}, with {name} {adapter}:",
        "zh": "其中有配套 {name} 的最新版本是 {torch}，配套 {name} {adapter}：",
    },
    "seen": {"en": "Seen in: ", "zh": "公开案例："},
    "also": {"en": "Also in the text:", "zh": "文中还有："},
    "otherwise": {
        "en": "The text ends with another error, which is not known here: {error}. "
        "What follows stands before it, and may have been dealt with.",
        "zh": "文本以另一个未知的错误结束：{error}。以下内容出现在它之前，可能已被处理。",
    },
    "unknown": {"en": "No failure that is known here is in the text.", "zh": "文中没有已知的故障。"},
    "last": {"en": "Its last error: ", "zh": "最后一个错误："},
    "codes": {"en": "Error codes in it: ", "zh": "其中的错误码："},
    "send": {
        "en": "Send the whole output, together with `wheelmill doctor --json`, to {where}.",
        "zh": "请将完整输出连同 `wheelmill doctor --json` 的结果提交到：{where}。",
    },
    "ours": {"en": "this project's issues", "zh": "本项目的 issue 页"},
}
# Where a package's own failures are reported, by the name in a traceback.
TRACKERS: Mapping[str, str] = {
    "torch_npu": "Ascend/pytorch",
    "torchair": "Ascend/pytorch",
    "vllm_ascend": "vllm-project/vllm-ascend",
    "vllm": "vllm-project/vllm",
    "triton": "triton-lang/triton-ascend",
    "sgl_kernel_npu": "sgl-project/sgl-kernel-npu",
    "fla_npu": "flashserve/flash-linear-attention-npu",
    "transformers": "huggingface/transformers",
    "accelerate": "huggingface/accelerate",
    "torch": "pytorch/pytorch",
    "cann_simulator": "",
}


def to_json(explanation: Explanation) -> dict[str, Any]:
    """For programs: every text in both languages."""
    return {
        "schema": 1,
        "outcome": "explained" if explanation.cause else "unknown",
        "matches": [_match(one) for one in explanation.matches],
        "last_error": explanation.last_error,
        "ends_otherwise": explanation.ends_otherwise,
        "codes": list(explanation.codes),
        "report_to": _tracker(explanation),
    }


def _match(match: Match) -> dict[str, Any]:
    failure = match.failure
    return {
        "id": failure.id,
        "level": failure.level,
        "printed_by": failure.printed_by,
        "line": match.line,
        "quote": match.quote,
        "values": {name: match.values[name] for name in failure.values},
        "title": {lang: match.words(failure.title, lang) for lang in failure.title},
        "cause": {lang: match.words(failure.cause, lang) for lang in failure.cause},
        "cure": {lang: match.words(failure.cure, lang) for lang in failure.cure},
        "commands": list(match.commands),
        "symbol": match.symbol and asdict(match.symbol),
        "seen": list(failure.seen),
    }


def render(explanation: Explanation, lang: Lang) -> str:
    """For people: the cause in full, one line for whatever else is in the text."""
    cause = explanation.cause
    lines = _cause(cause, lang) if cause else _unknown(explanation, lang)
    if cause and explanation.ends_otherwise and explanation.last_error:
        said = _WORDS["otherwise"][lang].format(error=_shortened(explanation.last_error, 200))
        lines = [*textwrap.wrap(said, WIDTH, break_long_words=False, break_on_hyphens=False), "", *lines]
    rest = [one for one in explanation.matches if one is not cause]
    if rest:
        lines += ["", _WORDS["also"][lang]]
        for one in rest:
            place = _WORDS["line"][lang].format(line=one.line)
            lines.append(f"  - {place}{one.words(one.failure.title, lang)}")
    return "\n".join(lines)


def _cause(match: Match, lang: Lang) -> list[str]:
    failure = match.failure
    lines = [match.words(failure.title, lang)]
    lines.append(f"  {_WORDS['line'][lang].format(line=match.line)}{_shortened(match.quote)}")
    lines += ["", *_paragraph(_WORDS["why"][lang] + match.words(failure.cause, lang))]
    if match.symbol is not None:
        lines += _symbol(match.symbol, lang)
    lines += ["", *_paragraph(_WORDS["do"][lang] + match.words(failure.cure, lang))]
    lines += [f"    {command}" for command in match.commands]
    if failure.seen:
        lines += ["", f"  {_WORDS['seen'][lang]}{', '.join(failure.seen)}"]
    return lines


def _symbol(symbol: Symbol, lang: Lang) -> list[str]:
    """The readable name and its owner; then who has it, where that is known."""
    name = symbol.name
    if symbol.owner:
        name = _WORDS["belongs"][lang].format(name=symbol.name, owner=symbol.owner)
    lines = _paragraph(_WORDS["symbol"][lang] + name)
    for key, bound in (("since", symbol.since), ("until", symbol.until)):
        if bound:
            words = _WORDS[key][lang].format(package=symbol.package, since=bound, until=bound)
            lines += _paragraph(words)
    return lines if symbol.recorded is None else lines + _recorded(symbol.recorded, lang)


def _recorded(recorded: Recorded, lang: Lang) -> list[str]:
    """The torches that have the symbol, once where both architectures agree; then what to take."""
    same = len(set(recorded.ranges.values())) == 1
    lines = []
    for arch, ranges in list(recorded.ranges.items())[: 1 if same else None]:
        on = "" if same else _WORDS["on"][lang].format(arch=arch)
        shown = ranges.replace(" to ", _WORDS["to"][lang]).replace(", ", _WORDS["and"][lang])
        words = _WORDS["has" if ranges else "lacks"][lang]
        lines += _paragraph(words.format(first=recorded.first, last=recorded.last, on=on, ranges=shown))
    if recorded.torch is not None:
        words = _WORDS["take"][lang].format(
            name=LABELS["adapter"], torch=recorded.torch, adapter=recorded.adapter
        )
        lines += [*_paragraph(words), f"    wheelmill pick --torch {recorded.torch}"]
    return lines


def _unknown(explanation: Explanation, lang: Lang) -> list[str]:
    lines = [_WORDS["unknown"][lang]]
    if explanation.last_error:
        lines.append(f"  {_WORDS['last'][lang]}{_shortened(explanation.last_error)}")
    if explanation.codes:
        lines.append(f"  {_WORDS['codes'][lang]}{', '.join(explanation.codes)}")
    where = _tracker(explanation) or _WORDS["ours"][lang]
    lines += _paragraph(_WORDS["send"][lang].format(where=where))
    return lines


def _tracker(explanation: Explanation) -> str | None:
    """Who can use a report of an unknown failure: the package of the last frame, else torch_npu by codes."""
    if explanation.reporter is not None and explanation.reporter in TRACKERS:
        return TRACKERS[explanation.reporter] or None
    if any(code.startswith("E") for code in explanation.codes):
        return TRACKERS["torch_npu"]
    return None


def _paragraph(text: str) -> list[str]:
    """Wrapped between words; text without spaces is left to the terminal."""
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent="  ",
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _shortened(text: str, most: int = 400) -> str:
    return text if len(text) <= most else f"{text[:most]}..."

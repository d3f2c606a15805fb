"""Answers as a dictionary for machines and as text for people; the text is made from the dictionary."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import reduce
from itertools import groupby
from typing import Any

from wheelmill.console import visible
from wheelmill.frozen import dataclass
from wheelmill.matrix.policy import Phase
from wheelmill.pick.commands import dockerfile, with_uv
from wheelmill.pick.explain import OTHER_THAN
from wheelmill.pick.model import AXES, Axis, Lang, NoFit, Offer, Pick, PickError
from wheelmill.pick.windows import by_symbols, window
from wheelmill.pick.words import Value, kind, label, labelled, listed, say

IMAGE = "ascendhub.huawei.com/#/detail/pytorch-modelzoo"  # where the table's image tags are looked up

_LEFT: tuple[Axis, ...] = ("python", "arch")
_OF_MACHINE: tuple[Axis, ...] = ("python", "arch", "glibc", "cann")


def to_json(answer: Pick | NoFit, lang: Lang = "en") -> dict[str, Any]:
    """The whole answer, ready for JSON, with sentences in one language; `outcome` is "pick" or "nofit"."""
    return _pick(answer, lang) if isinstance(answer, Pick) else _nofit(answer, lang)


def render_text(answer: Pick | NoFit, installer: str = "pip", lang: Lang = "en") -> str:
    """What the command line prints. All but commands starts with `#`, so a pick can be pasted whole."""
    data, told = to_json(answer, lang), _Told(lang)
    lines = _pick_lines(data, installer, told) if data["outcome"] == "pick" else _nofit_lines(data, told)
    # One line is one line: a break in a word of others would end a comment, and the rest would be run.
    return "\n".join(visible(line, lines=False) for line in lines)


def render_dockerfile(pick: Pick, installer: str = "pip", lang: Lang = "en") -> str:
    """Lines for a Dockerfile, after comments that say what is installed and what to know of it.

    Raises PickError for a wheel that has to be built: an image has nothing that builds it.
    """
    if pick.offer.how == "build":
        version, build = pick.offer.adapter, pick.steps[-2].commands[0]
        raise PickError(say("no dockerfile", adapter=version), hint=say("hint no dockerfile", build=build))
    told = [f"# {one}" for one in _about(to_json(pick, lang), _Told(lang))]
    return "\n".join([*(visible(one, lines=False) for one in told), "", *dockerfile(pick.steps, installer)])


def _pick(pick: Pick, lang: Lang) -> dict[str, Any]:
    return {
        "schema": 2,
        "outcome": "pick",
        "request": pick.request.asked(),
        "chosen": list(pick.free),
        "cell": _cell(pick.offer),
        "phase": _phase(pick.phase, lang),
        "notes": [one[lang] for one in pick.notes],
        "warnings": [one[lang] for one in pick.warnings],
        "issues": [one[lang] for one in pick.issues],
        "view": pick.view,
        "view_url": f"{pick.index}/{pick.view}" if pick.index and pick.view else None,
        "met": dict(pick.met),
        "unmet": dict(pick.unmet),
        "steps": [
            {
                "title": step.title[lang],
                "commands": list(step.commands),
                "uv": list(with_uv(step.commands)),
                "fallback": list(step.fallback),
            }
            for step in pick.steps
        ],
        "pins": list(pick.pins),
        "dockerfile": [] if pick.offer.how == "build" else list(dockerfile(pick.steps)),
        "others": [_cell(offer) for offer in pick.others],
    }


def _phase(phase: Phase | None, lang: Lang) -> dict[str, Any] | None:
    if phase is None:
        return None
    return {
        "stage": phase.stage,
        "zh": phase.zh,
        "since": phase.since and phase.since.isoformat(),
        "until": phase.until and phase.until.isoformat(),
        "reason": (phase.why if lang == "zh" else None) or phase.reason,
    }


def _nofit(nofit: NoFit, lang: Lang) -> dict[str, Any]:
    return {
        "schema": 2,
        "outcome": "nofit",
        "request": nofit.request.asked(),
        "notes": [one[lang] for one in nofit.notes],
        "conflicts": [
            [
                {"axis": one.axis, "value": one.value, "kind": one.kind, "reason": one.reason[lang]}
                for one in conflict.blockers
            ]
            for conflict in nofit.conflicts
        ],
        "alternatives": [
            {"cell": _cell(one.offer), "changes": dict(one.changes), "cost": one.cost}
            for one in nofit.alternatives
        ],
    }


def _cell(offer: Offer) -> dict[str, Any]:
    line, wheel = offer.line, offer.wheel
    return {
        "key": offer.key,
        "branch": offer.branch,
        "series": line.series if line is not None else None,
        "kind": line.kind if line is not None else "published",
        "cann": offer.cann,
        "torch": offer.torch,
        "built_for": offer.built_for or offer.torch,
        "adapter": offer.adapter,
        "python": offer.python,
        "arch": offer.arch,
        "glibc": offer.glibc,
        "from": offer.how,
        "source": offer.source,
        "record": wheel.source or None if wheel is not None else None,
        "image": line.image if line is not None else None,
        "wheel": wheel
        and {
            "file": wheel.file,
            "sha256": wheel.sha256,
            "size": wheel.size,
            "uploaded": wheel.uploaded,
            "requires": None if wheel.requires is None else list(wheel.requires),
            "runs_in": wheel.audited.torch or None if wheel.audited is not None else None,
            "window": window(offer),
        },
    }


# ---------------------------------------------------------------------------------------------------- a pick
@dataclass(frozen=True)
class _Told:
    """Sentences in one language."""

    lang: Lang

    def __call__(self, name: str, /, **values: Value) -> str:
        return say(name, **values)[self.lang]

    def listed(self, values: Iterable[str]) -> str:
        return listed(values)[self.lang]

    def labelled(self, axis: Axis, value: str) -> str:
        return labelled(axis, value)[self.lang]


def _pick_lines(data: dict[str, Any], installer: str, told: _Told) -> list[str]:
    lines = [f"# {one}" for one in _about(data, told)]
    for number, step in enumerate(data["steps"], 1):
        commands = step["uv"] if installer == "uv" else step["commands"]
        lines += ["", f"# {number}. {step['title']}", *commands]
        if step["fallback"]:
            instead = with_uv(step["fallback"]) if installer == "uv" else step["fallback"]
            lines += [f"# {told('if that fails')}", *(f"#   {command}" for command in instead)]
    return lines


def _about(data: dict[str, Any], told: _Told) -> Iterator[str]:
    """What is said before the commands, line by line."""
    cell = data["cell"]
    yield _named(cell, told) + (told("branch", branch=cell["branch"]) if cell["branch"] else "")
    yield from data["notes"]
    yield from _chosen(data, told)
    if data["phase"]:
        yield told("stage line", stage=_stage(data["phase"], told))
    yield from _wheel(cell, told)
    if cell["image"]:
        yield told("image", image=cell["image"], place=IMAGE)
    if data["view"]:
        yield told("view", address=_view(data, told))
    for axis, value in data["unmet"].items():
        yield told("unmet", value=told.labelled(axis, value))
    for warning in data["warnings"]:
        yield told("warning", text=warning)
    for issue in data["issues"]:
        yield told("issue", text=issue)
    if data["others"]:
        yield told("others", values=told.listed(_short(other, told) for other in data["others"]))


def _chosen(data: dict[str, Any], told: _Told) -> Iterator[str]:
    """What this machine decided on, and what was left to decide."""
    met, cell = data["met"], data["cell"]
    if met:
        had = (
            met[axis] if axis == "arch" else told.labelled(axis, met[axis])
            for axis in _OF_MACHINE
            if axis in met
        )
        yield told("for this machine", values=told.listed(had))
    free = [axis for axis in _LEFT if axis in data["chosen"] and axis not in met]
    if free:
        yield told("chosen", values=told.listed(told.labelled(axis, cell[axis]) for axis in free))


def _wheel(cell: dict[str, Any], told: _Told) -> Iterator[str]:
    if cell["wheel"]:
        file, uploaded = cell["wheel"]["file"], cell["wheel"]["uploaded"]
        yield told("wheel day", file=file, day=uploaded[:10]) if uploaded else told("wheel line", file=file)
        if cell["wheel"]["runs_in"]:
            yield told("runs in", torch=cell["wheel"]["runs_in"])
        if (text := by_symbols(cell["wheel"]["window"], told.lang)) is not None:
            yield text
    if cell["glibc"]:
        policy = f"manylinux_{cell['glibc'].replace('.', '_')}"
        yield told("needs", glibc=cell["glibc"], policy=policy)


def _view(data: dict[str, Any], told: _Told) -> str:
    """The address of the view, with a placeholder where nobody said which index has one."""
    if data["view_url"]:
        return str(data["view_url"])
    return told("host", address=f"https://HOST/{data['view']}")


def _named(cell: dict[str, Any], told: _Told) -> str:
    torch = cell["torch"]
    if cell["built_for"] != torch:
        torch = told("built for", torch=torch, built_for=cell["built_for"])
    values = {name: cell[name] for name in ("adapter", "python", "arch")}
    return told("named", torch=torch, cann=cell["cann"] or told("unknown"), **values)


def _short(cell: dict[str, Any], told: _Told) -> str:
    return told("other", adapter=cell["adapter"], cann=cell["cann"] or told("unknown"))


def _stage(phase: dict[str, Any], told: _Told) -> str:
    words = f"{phase['stage']} ({phase['zh']})" if told.lang == "en" else str(phase["zh"])
    if phase["since"]:
        words = told("from day", text=words, day=phase["since"])
    if phase["until"]:
        words = told("to day", text=words, day=phase["until"])
    return told("because", text=words, reason=phase["reason"]) if phase["reason"] else words


# --------------------------------------------------------------------------------------------------- no pick
def _nofit_lines(data: dict[str, Any], told: _Told) -> list[str]:
    asked = told.listed(
        told.labelled(axis, data["request"][axis]) for axis in AXES if axis in data["request"]
    )
    lines = [told("no fit", asked=asked or told("no row")), *data["notes"]]
    for names, reasons in _blocking(data["conflicts"], told):
        lines += ["", told("blocking", names=names), *reasons]
    if data["alternatives"]:
        lines += ["", told("nearest")]
    lines += [f"  {_change(one, told)}" for one in data["alternatives"]]
    return lines


def _blocking(
    conflicts: Sequence[Sequence[Mapping[str, Any]]], told: _Told
) -> Iterator[tuple[str, list[str]]]:
    """What blocks, and the lines that say why; conflicts of one reason together."""
    for reasons, some in groupby(conflicts, key=lambda conflict: _reasons(conflict, told)):
        names = [
            listed((labelled(one["axis"], one["value"]) for one in conflict), " with ", " 与 ")[told.lang]
            for conflict in some
        ]
        yield reduce(lambda one, other: told("also", one=one, other=other), names), reasons


def _reasons(conflict: Sequence[Mapping[str, Any]], told: _Told) -> list[str]:
    first = conflict[0]
    if len({one["reason"] for one in conflict}) == 1:
        return ["  " + told("reason", kind=kind(first["kind"]), reason=first["reason"])]
    return [
        "  " + told("reason of", axis=label(one["axis"]), kind=kind(one["kind"]), reason=one["reason"])
        for one in conflict
    ]


def _change(one: dict[str, Any], told: _Told) -> str:
    """An alternative: what to change, the dearest first, and the wheel that is then there."""
    changes = {axis: one["changes"][axis] for axis in reversed(AXES) if axis in one["changes"]}
    new = [told.labelled(axis, _value(value, told)) for axis, value in changes.items() if value != "any"]
    words = [told("change", values=told.listed(new))] if new else []
    words += [told("without", axis=label(axis)) for axis, value in changes.items() if value == "any"]
    return told("change line", changes=told.listed(words), wheel=_named(one["cell"], told))


def _value(value: str, told: _Told) -> str:
    if value == "unknown":
        return told("unknown")
    other = value.removeprefix(OTHER_THAN)
    return told("other than", value=other) if other != value else value

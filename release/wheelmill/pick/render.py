"""Answers as a dictionary for machines and as text for people; the text is made from the dictionary."""

from __future__ import annotations

from typing import Any

from wheelmill.console import visible
from wheelmill.matrix.policy import Phase
from wheelmill.pick.commands import dockerfile, with_uv
from wheelmill.pick.model import AXES, LABELS, Axis, NoFit, Offer, Pick

IMAGE = "ascendhub.huawei.com/#/detail/pytorch-modelzoo"  # where the table's image tags are looked up

_OF_MACHINE: tuple[Axis, ...] = ("python", "arch", "glibc", "cann")


def to_json(answer: Pick | NoFit) -> dict[str, Any]:
    """The whole answer, ready for JSON; `outcome` is "pick" or "nofit"."""
    return _pick(answer) if isinstance(answer, Pick) else _nofit(answer)


def render_text(answer: Pick | NoFit, installer: str = "pip") -> str:
    """What the command line prints. All but commands starts with `#`, so a pick can be pasted whole."""
    data = to_json(answer)
    lines = _pick_lines(data, installer) if data["outcome"] == "pick" else _nofit_lines(data)
    # One line is one line: a break in a word of others would end a comment, and the rest would be run.
    return "\n".join(visible(line, lines=False) for line in lines)


def _pick(pick: Pick) -> dict[str, Any]:
    return {
        "schema": 2,
        "outcome": "pick",
        "request": pick.request.asked(),
        "chosen": list(pick.free),
        "cell": _cell(pick.offer),
        "phase": _phase(pick.phase),
        "notes": list(pick.notes),
        "warnings": list(pick.warnings),
        "issues": list(pick.issues),
        "view": pick.view,
        "view_url": f"{pick.index}/{pick.view}" if pick.index and pick.view else None,
        "met": dict(pick.met),
        "unmet": dict(pick.unmet),
        "steps": [
            {
                "title": step.title,
                "commands": list(step.commands),
                "uv": list(with_uv(step.commands)),
                "fallback": list(step.fallback),
            }
            for step in pick.steps
        ],
        "pins": list(pick.pins),
        "dockerfile": list(dockerfile(pick.steps)),
        "others": [_cell(offer) for offer in pick.others],
    }


def _phase(phase: Phase | None) -> dict[str, Any] | None:
    if phase is None:
        return None
    return {
        "stage": phase.stage,
        "zh": phase.zh,
        "since": phase.since and phase.since.isoformat(),
        "until": phase.until and phase.until.isoformat(),
        "reason": phase.reason,
    }


def _nofit(nofit: NoFit) -> dict[str, Any]:
    return {
        "schema": 2,
        "outcome": "nofit",
        "request": nofit.request.asked(),
        "notes": list(nofit.notes),
        "conflicts": [
            [
                {"axis": one.axis, "value": one.value, "kind": one.kind, "reason": one.reason}
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
        },
    }


# ---------------------------------------------------------------------------------------------------- a pick
def _pick_lines(data: dict[str, Any], installer: str) -> list[str]:
    cell = data["cell"]
    branch = f" (branch {cell['branch']})" if cell["branch"] else ""
    lines = [f"# {_named(cell)}{branch}"]
    lines += [f"# {note}" for note in data["notes"]]
    chosen = [
        f"{LABELS[axis]} {cell[axis]}"
        for axis in AXES
        if axis in data["chosen"] and axis in ("python", "arch") and axis not in data["met"]
    ]
    if data["met"]:
        words = ", ".join(_had(axis, data["met"][axis]) for axis in _OF_MACHINE if axis in data["met"])
        lines.append(f"# For this machine: {words}. Options choose others, --anywhere chooses freely.")
    if chosen:
        lines.append(f"# Not asked for, so chosen: {', '.join(chosen)}")
    if data["phase"]:
        lines.append(f"# Stage: {_stage(data['phase'])}")
    if cell["wheel"]:
        uploaded = cell["wheel"]["uploaded"]
        when = f", published on {uploaded[:10]}" if uploaded else ""
        lines.append(f"# Wheel: {cell['wheel']['file']}{when}")
        if cell["wheel"]["runs_in"]:
            lines.append(f"# Its files run in torch {cell['wheel']['runs_in']} (wheelmill abi)")
    if cell["glibc"]:
        policy = f"manylinux_{cell['glibc'].replace('.', '_')}"
        lines.append(f"# Needs: glibc {cell['glibc']} or newer, as {policy} says (ldd --version shows it)")
    if cell["image"]:
        lines.append(f"# AscendHub image: {cell['image']} ({IMAGE})")
    if data["view"]:
        lines.append(f"# View: {_view(data)}")
    lines += [
        f"# This machine has {LABELS[axis]} {value}; no wheel for the rest fits that."
        for axis, value in data["unmet"].items()
    ]
    lines += [f"# Warning: {warning}" for warning in data["warnings"]]
    lines += [f"# Known issue: {issue}" for issue in data["issues"]]
    if data["others"]:
        lines.append(f"# Also fit: {', '.join(_short(other) for other in data['others'])}")
    for number, step in enumerate(data["steps"], 1):
        commands = step["uv"] if installer == "uv" else step["commands"]
        lines += ["", f"# {number}. {step['title']}", *commands]
        if step["fallback"]:
            lines += ["# if that fails:", *(f"#   {command}" for command in step["fallback"])]
    return lines


def _view(data: dict[str, Any]) -> str:
    """The address of the view, with a placeholder where nobody said which index has one."""
    if data["view_url"]:
        return str(data["view_url"])
    return f"https://HOST/{data['view']} (HOST is an index with views, if you have one; --index-url names it)"


def _had(axis: Axis, value: str) -> str:
    return value if axis == "arch" else f"{LABELS[axis]} {value}"


def _named(cell: dict[str, Any]) -> str:
    torch = f"torch {cell['torch']}"
    if cell["built_for"] != cell["torch"]:
        torch = f"{torch} (built for {cell['built_for']}, proven with {cell['torch']})"
    return (
        f"torch_npu {cell['adapter']} for {torch}, CANN {cell['cann'] or 'unknown'}, "
        f"Python {cell['python']}, {cell['arch']}"
    )


def _short(cell: dict[str, Any]) -> str:
    return f"{cell['adapter']} (CANN {cell['cann'] or 'unknown'})"


def _stage(phase: dict[str, Any]) -> str:
    words = f"{phase['stage']} ({phase['zh']})"
    words += f" since {phase['since']}" if phase["since"] else ""
    words += f" until {phase['until']}" if phase["until"] else ""
    return words + (f"; {phase['reason']}" if phase["reason"] else "")


# --------------------------------------------------------------------------------------------------- no pick
def _nofit_lines(data: dict[str, Any]) -> list[str]:
    asked = ", ".join(f"{LABELS[axis]} {data['request'][axis]}" for axis in AXES if axis in data["request"])
    lines = [f"No wheel fits {asked or 'the matrix: it has no installable row'}.", *data["notes"]]
    for conflict in data["conflicts"]:
        names = " with ".join(f"{LABELS[one['axis']]} {one['value']}" for one in conflict)
        lines += ["", f"Blocking: {names}"]
        if len({one["reason"] for one in conflict}) == 1:
            lines.append(f"  {conflict[0]['kind']}: {conflict[0]['reason']}")
        else:
            lines += [f"  {LABELS[one['axis']]}: {one['kind']}: {one['reason']}" for one in conflict]
    if data["alternatives"]:
        lines += ["", "Nearest that fit:"]
    for one in data["alternatives"]:
        changed = [(LABELS[axis], one["changes"][axis]) for axis in reversed(AXES) if axis in one["changes"]]
        new = ", ".join(f"{label} {value}" for label, value in changed if value != "any")
        words = [f"change {new}"] if new else []
        words += [f"without a {label}" for label, value in changed if value == "any"]
        lines.append(f"  {', '.join(words)}: {_named(one['cell'])}")
    return lines

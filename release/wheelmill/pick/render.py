"""Answers as a dictionary for machines and as text for people; the text is made from the dictionary."""

from __future__ import annotations

from typing import Any

from wheelmill.matrix.model import Cell
from wheelmill.pick.model import AXES, LABELS, NoFit, Pick


def to_json(answer: Pick | NoFit) -> dict[str, Any]:
    """The whole answer, ready for JSON; `outcome` is "pick" or "nofit"."""
    return _pick(answer) if isinstance(answer, Pick) else _nofit(answer)


def render_text(answer: Pick | NoFit) -> str:
    """What the command line prints. All but commands starts with `#`, so a pick can be pasted whole."""
    data = to_json(answer)
    lines = _pick_lines(data) if data["outcome"] == "pick" else _nofit_lines(data)
    return "\n".join(lines)


def _pick(pick: Pick) -> dict[str, Any]:
    phase = pick.phase
    return {
        "schema": 1,
        "outcome": "pick",
        "request": pick.request.asked(),
        "chosen": list(pick.free),
        "cell": _cell(pick.cell),
        "phase": phase
        and {
            "stage": phase.stage,
            "zh": phase.zh,
            "since": phase.since and phase.since.isoformat(),
            "until": phase.until and phase.until.isoformat(),
            "reason": phase.reason,
        },
        "warnings": list(pick.warnings),
        "steps": [
            {"title": step.title, "commands": list(step.commands), "fallback": list(step.fallback)}
            for step in pick.steps
        ],
    }


def _nofit(nofit: NoFit) -> dict[str, Any]:
    return {
        "schema": 1,
        "outcome": "nofit",
        "request": nofit.request.asked(),
        "conflicts": [
            [
                {"axis": one.axis, "value": one.value, "kind": one.kind, "reason": one.reason}
                for one in conflict.blockers
            ]
            for conflict in nofit.conflicts
        ],
        "alternatives": [
            {"cell": _cell(one.cell), "changes": dict(one.changes), "cost": one.cost}
            for one in nofit.alternatives
        ],
    }


def _cell(cell: Cell) -> dict[str, Any]:
    line = cell.line
    return {
        "key": cell.key,
        "branch": line.branch,
        "series": line.series,
        "kind": line.kind,
        "cann": line.cann,
        "torch": line.torch.version,
        "adapter": line.adapter,
        "python": cell.python,
        "arch": cell.arch,
        "image": line.image,
    }


def _pick_lines(data: dict[str, Any]) -> list[str]:
    cell = data["cell"]
    lines = [
        f"# torch_npu {cell['adapter']} for torch {cell['torch']}, CANN {cell['cann']}, "
        f"Python {cell['python']}, {cell['arch']} (branch {cell['branch']})"
    ]
    chosen = [
        f"{LABELS[axis]} {cell[axis]}"
        for axis in AXES
        if axis in data["chosen"] and axis in ("python", "arch")
    ]
    if chosen:
        lines.append(f"# Not asked for, so chosen: {', '.join(chosen)}")
    if data["phase"]:
        lines.append(f"# Phase: {_phase(data['phase'])}")
    lines += [f"# Warning: {warning}" for warning in data["warnings"]]
    for number, step in enumerate(data["steps"], 1):
        lines += ["", f"# {number}. {step['title']}", *step["commands"]]
        if step["fallback"]:
            lines += ["# if that fails:", *(f"#   {command}" for command in step["fallback"])]
    return lines


def _phase(phase: dict[str, Any]) -> str:
    words = f"{phase['stage']} ({phase['zh']})"
    words += f" since {phase['since']}" if phase["since"] else ""
    words += f" until {phase['until']}" if phase["until"] else ""
    return words + (f"; {phase['reason']}" if phase["reason"] else "")


def _nofit_lines(data: dict[str, Any]) -> list[str]:
    asked = ", ".join(f"{LABELS[axis]} {data['request'][axis]}" for axis in AXES if axis in data["request"])
    lines = [f"No wheel fits {asked or 'the matrix: it has no installable row'}."]
    for conflict in data["conflicts"]:
        names = " with ".join(f"{LABELS[one['axis']]} {one['value']}" for one in conflict)
        lines += ["", f"Blocking: {names}"]
        if conflict[0]["kind"] == "record only":
            lines.append(f"  record only: {conflict[0]['reason']}")
        else:
            lines += [f"  {LABELS[one['axis']]}: {one['kind']}: {one['reason']}" for one in conflict]
    if data["alternatives"]:
        lines += ["", "Nearest that fit:"]
    for one in data["alternatives"]:
        cell = one["cell"]
        changes = ", ".join(
            f"{LABELS[axis]} {one['changes'][axis]}" for axis in reversed(AXES) if axis in one["changes"]
        )
        lines.append(
            f"  change {changes}: torch_npu {cell['adapter']} for torch {cell['torch']}, "
            f"CANN {cell['cann']}, Python {cell['python']}, {cell['arch']}"
        )
    return lines

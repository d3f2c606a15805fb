"""Windows as tables and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from wheelmill.prove.abi.model import Extension, Judgement
from wheelmill.prove.abi.window import Window

COLUMNS = ("version", "runs", "first obstacle")


def heading(extension: Extension) -> str:
    """What the wheel is and how much of torch it uses."""
    text = f"{extension.wheel}: {len(extension.symbols)} symbols, {len(extension.derived)} derived classes"
    text += f" in {extension.natives} {'file' if extension.natives == 1 else 'files'}"
    if extension.unrecorded:
        text += (
            f"\n  also linked to {', '.join(extension.unrecorded)}, which only some builds of torch have: "
            "what it needs of them is not judged"
        )
    return text


def _word(judgement: Judgement, *, partly: bool) -> str:
    if not judgement.runs:
        return "no"
    if judgement.with_cuda:
        return "without CUDA"
    return "as far as judged" if partly else "yes"


def rows(window: Window, *, partly: bool = False) -> list[tuple[str, str, str]]:
    """One row per version, newest first; `partly` says that a library is not judged."""
    return [
        (
            f"{window.package.replace('-', '_')} {one.origin.version}",
            _word(one, partly=partly),
            first(one)
            if not one.runs
            else "; ".join(f"note: {note.text}" for note in (*one.with_cuda, *one.cautions)),
        )
        for one in reversed(window.judgements)
    ]


def first(judgement: Judgement) -> str:
    """The first obstacle, and which kinds there are besides."""
    others = ", ".join(dict.fromkeys(other.kind for other in judgement.obstacles[1:]))
    return alone(judgement) + (f"; also: {others}" if others else "")


def alone(judgement: Judgement) -> str:
    """The first obstacle, and how many there are of its kind."""
    one = judgement.obstacles[0]
    more = f" (and {one.more} more)" if one.more else ""
    return f"{one.kind}: {one.text}{more}"


def summary(window: Window, *, partly: bool = False) -> str:
    """What the window comes to, and whether the metadata keep to it; `partly` as in `rows`."""
    name = window.package.replace("-", "_")
    if not window.judgements:
        return f"{name}: nothing is recorded, so nothing is judged"
    if not window.runs:
        return f"{name}: it runs in none of the {len(window.judgements)} recorded versions"
    word = "nothing found against" if partly else "proven for"
    text = f"{name}: {word} {name}{window.specifier}"
    if window.requires is None:
        return f"{text}; its metadata do not ask for {name}"
    if window.overstated:
        return f"{text}; its metadata ({name}{window.requires}) also allow {', '.join(window.overstated)}"
    return f"{text}; its metadata ask for {name}{window.requires or ' of any version'}"


def to_json(extension: Extension, windows: Sequence[Window]) -> dict[str, Any]:
    """Everything that is known of one wheel, for machines."""
    return {
        "wheel": extension.wheel,
        "arch": extension.arch,
        "pythons": list(extension.pythons),
        "symbols": len(extension.symbols),
        "derived": [{"class": one.name, "base": one.base} for one in extension.derived],
        "unjudged_libraries": list(extension.unrecorded),
        "windows": [_window(window) for window in windows],
    }


def _window(window: Window) -> dict[str, Any]:
    return {
        "package": window.package,
        "requires": window.requires,
        "built_for": window.built,
        "runs": list(window.runs),
        "specifier": window.specifier,
        "overstated": list(window.overstated),
        "versions": [
            {
                "version": one.origin.version,
                "build": one.origin.build,
                "runs": one.runs,
                "obstacles": [asdict(obstacle) for obstacle in one.obstacles],
                "cautions": [asdict(caution) for caution in one.cautions],
                "with_cuda": [asdict(obstacle) for obstacle in one.with_cuda],
            }
            for one in window.judgements
        ],
    }

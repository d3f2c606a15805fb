"""The maintenance timeline as an SVG, drawn from the policy for a day that is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any
from xml.sax.saxutils import escape

ROW, TOP, LEFT, WIDTH = 30, 62, 92, 1080
BEYOND = 5  # years after the last change of a stage that are still drawn
STAGES = ("planned", "development", "maintained", "unmaintained", "eol")


def draw(series: Sequence[Mapping[str, Any]], today: date, words: Mapping[str, str]) -> str:
    """One bar per stage of every series, years as a grid, and today's line; at the edge if it is far off.

    `words` are the names of the stages and of today in the page's language.
    """
    dated = [one for one in series if one["days"]]
    if not dated:
        return ""
    first = min(date.fromisoformat(min(one["days"].values())) for one in dated).replace(month=1, day=1)
    end = max(date.fromisoformat(max(one["days"].values())) for one in dated).year
    last = date(min(max(end, min(today.year, end + BEYOND)) + 1, date.max.year), 1, 1)
    span = (last - first).days

    def x(day: date) -> float:
        return round(LEFT + (WIDTH - LEFT) * (min(max(day, first), last) - first).days / span, 1)

    height = TOP + ROW * len(dated) + 12
    parts = [
        f'<svg class="timeline" viewBox="0 0 {WIDTH} {height}" role="img" aria-labelledby="timeline-title">',
        f'<title id="timeline-title">{escape(words["timeline"])}</title>',
    ]
    for year in range(first.year, last.year):
        at = x(date(year, 1, 1))
        parts.append(f'<line class="grid" x1="{at}" x2="{at}" y1="{TOP - 12}" y2="{height - 8}"/>')
        parts.append(f'<text class="year" x="{at + 4}" y="{TOP - 20}">{year}</text>')
    for row, one in enumerate(dated):
        parts += _bars(one, TOP + row * ROW, x, last, words)
    at = x(today)
    parts.append(f'<line class="today" x1="{at}" x2="{at}" y1="{TOP - 38}" y2="{height - 4}"/>')
    anchor = "end" if at > WIDTH - 120 else "middle"
    label = f"{escape(words['today'])} {today}"
    parts.append(f'<text class="today" x="{at}" y="{TOP - 46}" text-anchor="{anchor}">{label}</text>')
    return "\n".join([*parts, "</svg>"])


def _bars(one: Mapping[str, Any], y: int, x: Any, last: date, words: Mapping[str, str]) -> list[str]:
    days = [(stage, date.fromisoformat(day)) for stage, day in one["days"].items()]
    name = escape(one["series"])
    parts = [f'<text class="series" x="0" y="{y + 17}">{name}</text>']
    for at, (stage, begin) in enumerate(days):
        if stage == "eol":
            title = f"<title>{name}: {escape(words['eol'])} {begin}</title>"
            parts.append(f'<circle class="eol" cx="{x(begin)}" cy="{y + 12}" r="4">{title}</circle>')
            continue
        end = days[at + 1][1] if at + 1 < len(days) else last
        if end <= begin:
            continue
        title = f"<title>{name}: {escape(words[stage])} {begin} – {end - timedelta(days=1)}</title>"
        place = f'x="{x(begin)}" y="{y + 4}" width="{round(x(end) - x(begin), 1)}" height="16" rx="3"'
        parts.append(f'<rect class="{stage}" {place}>{title}</rect>')
    stop = x(days[-1][1] if days[-1][0] == "eol" else last)
    parts.append(f'<text class="series again" x="{min(stop + 12, WIDTH - 48)}" y="{y + 17}">{name}</text>')
    return parts

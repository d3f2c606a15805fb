"""Write the site from one record: pages in two languages, JSON interface, calendar, feed, checksums."""

from __future__ import annotations

import errno
import html
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wheelmill.matrix.outlook import changes
from wheelmill.matrix.versions import python_key
from wheelmill.notes.model import Notes
from wheelmill.pick.failures import failures
from wheelmill.pick.failures.model import Failure, fill, on_machine
from wheelmill.pick.failures.toolkit import own_commands
from wheelmill.pick.model import LANGS, Lang
from wheelmill.pick.shelf import Shelf
from wheelmill.pick.site import api, record
from wheelmill.pick.site.feeds import atom
from wheelmill.pick.site.timeline import STAGES, draw
from wheelmill.pick.words import form

if TYPE_CHECKING:
    from jinja2 import Environment

HERE = Path(__file__).parent
PAGES = (
    ("pick", "index.html"), ("table", "table.html"), ("timeline", "timeline.html"), ("notes", "notes.html"),
    ("explain", "explain.html"), ("verify", "verify.html"), ("sources", "sources.html"), ("api", "api.html"),
)  # fmt: skip
# Nothing but the site's own files, and no request from a script.
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'none'; "
    "base-uri 'none'; form-action 'none'"
)
ALIVE = ("planned", "development", "maintained")
SCRIPTED = (
    "axis_", "os_or", "not_read",
    "why_", "stage_", "exact", "reset", "clear", "commands", "cop", "installer", "result", "unknown",
    "also", "colon", "date_hint", "early_day", "no_source", "no_fit", "notes_known", "supported",
    "nearest", "download_lock", "leave_out", "blocking", "change", "and", "second_name", "needs_glibc",
    "fallback", "eol_warning",
    "build_warning", "built_for", "cann_unknown", "link_of_choice", "explain_none", "explain_send",
    "explain_also", "explain_otherwise", "explain_line", "why", "do",
    "symbol", "said_",
)  # fmt: skip
# What the script says in the words of the command.
SAID = (
    "build", "build of torch", "given", "hint musl", "musl", "needs glibc", "operating system", "unreadable",
)  # fmt: skip


@dataclass(frozen=True)
class Site:
    """What the site shows: what can be had on a day, the release notes, and the address where it has one."""

    shelf: Shelf
    notes: Notes | None = None
    base: str | None = None

    @property
    def day(self) -> str:
        """The day that stages are computed for."""
        return self.shelf.today.isoformat()

    @cached_property
    def versions(self) -> list[dict[str, Any]]:
        """Every adapter version."""
        return record.versions(self.shelf, self.notes)

    @cached_property
    def series(self) -> list[dict[str, Any]]:
        """Every series with its stage and days."""
        return record.policy(self.shelf.matrix, self.shelf.today)

    @cached_property
    def wheels(self) -> list[dict[str, str]]:
        """Every recorded wheel whose SHA-256 is known, those of the newest version first.

        Also one that no answer names: of two for the same Python and architecture, pip may take the other.
        """
        wheels = (one for version in self.shelf.catalogue.versions.values() for one in version)
        known = {one.file: one.sha256 for one in wheels if one.sha256 is not None}
        return [{"file": file, "sha256": sha256} for file, sha256 in known.items()]


def settle(written: Sequence[Path], staged: Path, folder: Path) -> None:
    """Put what was written to `staged` into a folder, each file by one rename, what is linked to first.

    Nothing else in the folder is touched. Raises OSError, and before the first rename where a folder has the
    place of a file.
    """
    found = [(path, folder / path.relative_to(staged)) for path in written]
    for _, target in found:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_dir() and not target.is_symlink():
            raise IsADirectoryError(
                errno.EISDIR, "a file of the site belongs there, and it is a folder", target
            )
    for path, target in sorted(found, key=lambda one: _linked_last(one[1])):
        path.replace(target)


def _linked_last(path: Path) -> tuple[bool, bool]:
    """Data and assets, then pages, then the page that is opened first."""
    return path.suffix == ".html", path.name == "index.html"


def write(site: Site, folder: Path) -> list[Path]:
    """Write every file below a folder; the same record gives the same bytes. Returns the paths."""
    written = [_write(folder / name, data) for name, data in _files(site).items()]
    environment = _environment(_defaults(site))
    for lang in LANGS:
        written += _pages(site, environment, folder, lang)
    return written


def _write(path: Path, data: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def _files(site: Site) -> dict[str, str | bytes]:
    """What is the same in both languages."""
    matrix = site.shelf.matrix
    collections = {
        "versions": site.versions,
        "series": site.series,
        "failures": _failures(site),
    }
    found: dict[str, str | bytes] = {
        f"api/v1/{name}": json.dumps(data, ensure_ascii=False, separators=(",", ":")) + "\n"
        for name, data in api.documents(site.day, collections).items()
    }
    found["api/v1/versions.csv"] = api.table(site.versions)
    found["SHA256SUMS"] = "".join(f"{one['sha256']}  {one['file']}\n" for one in site.wheels)
    found["feed.xml"] = atom(record.events(matrix, site.shelf, site.shelf.today), site.day, site.base)
    for name in ("style.css", "site.js", "icon.svg"):
        found[f"assets/{name}"] = (HERE / "assets" / name).read_bytes()
    from wheelmill.matrix.ical import calendar

    found["calendar.ics"] = calendar(changes(matrix))
    return found


def _failures(site: Site) -> list[dict[str, Any]]:
    """Every known failure; which version of the toolkit somebody has is not known here."""
    toolkit = own_commands(site.shelf.matrix)
    return [_failure(one, toolkit) for one in failures()]


def _failure(one: Failure, toolkit: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    return {
        "id": one.id, "level": one.level, "printed_by": one.printed_by, "needles": list(one.needles),
        "pattern": one.pattern, "values": list(one.values), "title": dict(one.title),
        "cause": dict(one.cause), "cure": dict(one.cure), "commands": list(on_machine(one.commands, toolkit)),
        "seen": list(one.seen),
    }  # fmt: skip


# ------------------------------------------------------------------------------------------------------ pages
def _defaults(site: Site) -> dict[str, str]:
    """The values that the texts of any failure may use."""
    return {"cpu_index": site.shelf.matrix.document.torch_cpu_index}


def _environment(defaults: Mapping[str, str]) -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    environment.filters["code"] = lambda text: Markup(
        re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(str(text), quote=False))
    )
    # A text of a failure as the list of all shows it, with names for what an error would fill in.
    environment.filters["shown"] = lambda text: re.sub(r"\{([a-z_]+)\}", r"‹\1›", fill(str(text), defaults))
    environment.globals["span"] = _span
    return environment


def _pages(site: Site, environment: Environment, folder: Path, lang: Lang) -> list[Path]:
    """English lies at the top, Chinese in zh/: the same names, so that a switch keeps the page."""
    words = _words(lang)
    current = [
        one
        for one in site.versions
        if one["available"] and one["stage"] in ("planned", "development", "maintained")
    ]
    ended = [one for one in site.versions if one not in current]
    contents: dict[str, Mapping[str, Any]] = {
        "pick": {"current": current, "data": _data(_picker(site, lang)), "words": _data(_scripted(words))},
        "table": {
            "current": current, "ended": ended, "stages": STAGES,
            "pythons": sorted({name for one in site.versions for name in one["pythons"]}, key=python_key),
        },
        "timeline": {"series": site.series, "stages": STAGES, "svg": _svg(site, words)},
        "notes": {"notes": site.notes.all() if site.notes is not None else ()},
        "explain": {
            "failures": _failures(site),
            "data": _data(_explainer(site)), "words": _data(_scripted(words)),
        },
        "verify": {"wheels": site.wheels},
        "sources": {"sources": _sources(site)},
        "api": {},
    }  # fmt: skip
    written = []
    for name, file in PAGES:
        page = partial(_render, site, environment, words, lang, name, f"{name}.html", file)
        written.append(_write(folder / _place(lang, file), page(_title(words, name), contents[name])))
    for one in site.versions:
        file = f"version/{one['id']}.html"
        values = {"one": one, "printed": _printed(one["printed"]), "script": partial(_script, words, lang)}
        title = fill(words["version_title"], {"adapter": one["adapter"]})
        written.append(
            _write(
                folder / _place(lang, file),
                _render(site, environment, words, lang, "table", "version.html", file, title, values),
            )
        )
    return written


def _title(words: Mapping[str, str], name: str) -> str:
    return words[f"{name}_title"]


def _place(lang: Lang, file: str) -> str:
    return f"zh/{file}" if lang == "zh" else file


def _render(
    site: Site,
    environment: Environment,
    words: Mapping[str, str],
    lang: Lang,
    page: str,
    template: str,
    file: str,
    title: str,
    values: Mapping[str, Any],
) -> str:
    """One page; every address in it is relative, so that it works from a file."""
    depth = _place(lang, file).count("/")
    up = "../" * file.count("/")
    root = "../" * depth
    return environment.get_template(template).render(
        lang=lang,
        page=page,
        title=title,
        day=site.day,
        csp=POLICY,
        pages=PAGES,
        root=root,
        home=up or "./",
        other=f"{root}{_place('en' if lang == 'zh' else 'zh', file)}",
        t=_translator(words),
        **values,
    )


def _translator(words: Mapping[str, str]) -> Callable[..., str]:
    """The function `t` of the templates: the words of a name, with values in them."""

    def translate(name: str, /, **given: object) -> str:
        return fill(words[name], {key: str(value) for key, value in given.items()})

    return translate


def _words(lang: Lang) -> dict[str, str]:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    rows = yaml.load((HERE / "words.yaml").read_text(encoding="utf-8"), Loader=loader)
    said = {f"said_{name.replace(' ', '_')}": form(name)[lang] for name in SAID}
    return {name: row[lang] for name, row in rows.items()} | said


def _scripted(words: Mapping[str, str]) -> dict[str, str]:
    """The words that the script shows."""
    return {name: text for name, text in words.items() if name.startswith(SCRIPTED)}


def _data(value: Any) -> Any:
    """JSON to stand in a page: nothing in it can end the element."""
    from markupsafe import Markup

    return Markup(json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c"))


def _picker(site: Site, lang: Lang) -> dict[str, Any]:
    data = record.picker(site.shelf, site.notes)
    data["issues"] = [[one[lang] for one in issues] for issues in data["issues"]]
    steps = [{**one, "title": _step_title(one, lang)} for one in data["steps"]]
    for one in steps:
        del one["zh"]
    return {**data, "steps": steps}


def _explainer(site: Site) -> dict[str, Any]:
    fields = ("id", "level", "needles", "pattern", "values")
    rows = [{name: row[name] for name in fields} for row in _failures(site)]
    return {"failures": rows, "defaults": _defaults(site)}


def _svg(site: Site, words: Mapping[str, str]) -> Any:
    from markupsafe import Markup

    names = {
        **{stage: words[f"stage_{stage}"] for stage in STAGES},
        "today": words["today"],
        "timeline": words["timeline"],
    }
    return Markup(draw(site.series, site.shelf.today, names))


def _sources(site: Site) -> list[dict[str, Any]]:
    stages = {one["series"]: one["stage"] for one in site.series}
    found = record.sources(site.shelf.matrix)
    for source in found:
        source["series"] = [{**one, "stage": stages[one["name"]]} for one in source["series"]]
    return found


def _printed(printed: Mapping[str, Any] | None) -> str:
    if printed is None:
        return ""
    labels = {"cann": "CANN", "torch": "PyTorch", "adapter": "torch_npu"}
    return ", ".join(f"{label} {printed[name]}" for name, label in labels.items() if printed[name])


def _step_title(step: Mapping[str, Any], lang: Lang) -> str:
    return str(step["zh" if lang == "zh" else "title"])


def _script(words: Mapping[str, str], lang: Lang, wheel: Mapping[str, Any]) -> list[str]:
    """The commands of a wheel, to be pasted whole."""
    lines: list[str] = []
    for number, step in enumerate(wheel["steps"], 1):
        lines += ([""] if lines else []) + [f"# {number}. {_step_title(step, lang)}", *step["pip"]]
        if step["fallback"]:
            lines += [f"# {words['fallback']}", *(f"#   {one}" for one in step["fallback"])]
    return lines


def _span(pythons: Sequence[str]) -> str:
    """`3.8–3.11` for Pythons without a gap, else all of them."""
    minors = [python_key(python)[1] for python in pythons]
    gapless = len(minors) > 2 and all(after - before == 1 for before, after in pairwise(minors))
    return f"{pythons[0]}–{pythons[-1]}" if gapless else ", ".join(pythons)

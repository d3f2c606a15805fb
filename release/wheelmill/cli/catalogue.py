"""`wheelmill catalogue`: record what is published, and hold the matrix against it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wheelmill.cli import Group, output_options, project
from wheelmill.cli.matrix import today
from wheelmill.console import Console, without_password
from wheelmill.errors import WheelmillError

if TYPE_CHECKING:
    from wheelmill.catalogue import Record, Wheel, Window
    from wheelmill.project import Project
    from wheelmill.prove.abi.kept import Shelf

_SHOWN = 12  # names of one kind, before "and N more"


@click.group(cls=Group)
def catalogue() -> None:
    """Record which adapter wheels are published, and hold that against the matrix."""


@catalogue.command()
@click.option(
    "--index", "url", metavar="URL", help="The simple API to read. [default: the index that pip uses]"
)
@click.option(
    "--source", default="index", show_default=True, metavar="NAME", help="Record it under this name."
)
@click.option("--accept-changed", is_flag=True, help="Record other bytes under a name that is recorded.")
@click.option("--accept-gone", is_flag=True, help="Drop recorded files that the index does not list.")
@output_options
def refresh(url: str | None, source: str, accept_changed: bool, accept_gone: bool, console: Console) -> int:
    """Read the index and write matrix/catalogue/SOURCE.json: every wheel of torch_npu.

    One index is one record: pip's extra indexes are not read, but named. METADATA is read of new wheels only,
    by the part. The record has no address of the index. Exit code 1, and nothing is written, if a recorded
    file has other bytes now or is not listed any more.
    """
    from wheelmill.catalogue import read_record, write_record
    from wheelmill.catalogue.refresh import refresh as read_index
    from wheelmill.make.toolchain.pip_index import certificates, extra_indexes, index_url

    path = project().catalogue_folder / f"{source}.json"
    before = read_record(path) if path.is_file() else None
    with console.step("Reading the index"):
        found = read_index(
            index_url() if url is None else url,
            before,
            today(),
            source=source,
            verify=certificates(),
            progress=console.progress,
        )
    if found.changed and not accept_changed:
        raise WheelmillError(
            f"The index has other bytes than before under {_names(found.changed)}. Nothing was written.",
            hint="No index should replace a file. Find out why; then --accept-changed records it.",
        )
    if found.gone and not accept_gone:
        raise WheelmillError(
            f"The index lists {len(found.record.wheels)} wheels and lacks {len(found.gone)} that are "
            f"recorded: {_names(found.gone)}. Nothing was written.",
            hint="Is it a mirror of a part? `--source NAME` records it beside the other. "
            "If the files were taken down, --accept-gone drops them from the record.",
        )
    written = write_record(path, found.record)
    for file, why in found.unread[:_SHOWN]:
        console.warn(f"no METADATA of {file}: {why}")
    record = found.record
    versions = len({wheel.version for wheel in record.wheels})
    console.say(f"{len(record.wheels)} wheels of {versions} versions in {path.name}")
    for title, names in (("new", found.new), ("gone", found.gone), ("changed", found.changed)):
        if names:
            console.say(f"{title}: {_names(names)}")
    if record.unknown:
        console.say(f"the index does not tell: {', '.join(record.unknown)}")
    not_read = [without_password(one) for one in extra_indexes()] if url is None else []
    if not_read:
        console.warn(
            f"pip reads further indexes, whose wheels are not in this record: {', '.join(not_read)}; "
            "`catalogue refresh --index URL --source NAME` records one beside it"
        )
    console.result(
        {
            "schema": 1,
            "file": str(path),
            "written": written,
            "wheels": len(record.wheels),
            "versions": versions,
            "new": list(found.new),
            "gone": list(found.gone),
            "changed": list(found.changed),
            "unread": [{"file": file, "reason": why} for file, why in found.unread],
            "ignored": list(found.ignored),
            "unknown": list(record.unknown),
            "not_read": not_read,
        }
    )
    return 0


@catalogue.command("check")
@click.option("--notes/--no-notes", default=True, help="Also show what only the publishers can mend.")
@click.option("--rules", is_flag=True, help="List the rules and their titles.")
@output_options
def check_matrix(notes: bool, rules: bool, console: Console) -> int:
    """Hold the matrix against the record, both ways. Works offline.

    An error is to be mended in the matrix: promised but missing, existing but not declared. A note is a fault
    of the published wheels. Exit code 1 if there is an error.
    """
    from wheelmill.catalogue.check import check, titles

    if rules:
        named = titles()
        console.say("\n".join(f"{name}: {title}" for name, title in named.items()))
        console.result(named)
        return 0
    here = project()
    record = _record(here)
    findings = check(here.matrix(), here.catalogue())
    errors = [one for one in findings if one.severity == "error"]
    for one in findings if notes else errors:
        console.say(str(one))
    console.say(
        f"{len(errors)} errors, {len(findings) - len(errors)} notes "
        f"in {len(record.wheels)} wheels as of {record.read}"
    )
    console.result(
        {
            "schema": 2,  # 1 had a finding's `about` beside its message
            "read": record.read,
            "wheels": len(record.wheels),
            "errors": len(errors),
            "notes": len(findings) - len(errors),
            "findings": [vars(one) for one in findings],
        }
    )
    return 1 if errors else 0


@catalogue.command()
@output_options
def propose(console: Console) -> int:
    """Print a patch to matrix/compat.yaml that declares what the index has and the matrix lacks.

    What no document says stays a question: the version is held as on the index, with its CANN unknown.
    Apply it with `wheelmill catalogue propose | git apply`. Exit code 0, also where there is nothing to do.
    """
    from wheelmill.catalogue.propose import propose as proposing

    here = project()
    _record(here)
    text = here.matrix_file.read_text(encoding="utf-8")
    found = proposing(here.matrix(), here.catalogue(), text)
    if not console.json:
        console.text(found.patch)
    for question in found.questions:
        console.warn(f"to find out: {question}")
    if not found.patch:
        console.warn("nothing to propose: the matrix has all that the index has")
    console.result(
        {
            "schema": 1,
            "patch": found.patch,
            "versions": list(found.versions),
            "questions": list(found.questions),
        }
    )
    return 0


@catalogue.command("audit")
@click.argument("files", nargs=-1, metavar="[WHEEL]...")
@click.option(
    "--sample", type=click.IntRange(1), metavar="N", help="N wheels that were not audited yet. [default: 1]"
)
@click.option("--index", "url", metavar="URL", help="Where they are. [default: the index that pip uses]")
@click.option("--dry-run", is_flag=True, help="Show what would be downloaded; change nothing.")
@output_options
def audit_sample(
    files: tuple[str, ...], sample: int | None, url: str | None, dry_run: bool, console: Console
) -> int:
    """Download recorded wheels, and keep in the record on which platforms and in which torches they run.

    Name the files, or take a --sample: the newest of each torch and architecture first. Files and sizes are
    told before the first download. Each is held to the recorded hash.
    """
    from wheelmill.catalogue import write_record
    from wheelmill.catalogue.sample import audited, chosen, to_download
    from wheelmill.make.toolchain.pip_index import certificates, index_url

    here = project()
    record = _record(here)
    wheels = chosen(record, files, sample)
    for line in to_download(wheels) or ("nothing to download: every torch has an audited wheel",):
        console.say(line)
    if dry_run:
        console.result({"schema": 1, "to_download": {one.file: one.size for one in wheels}})
        return 0
    verify = certificates()
    for wheel in wheels:
        with console.step(f"Auditing {wheel.file}"):
            record, found = audited(
                record, wheel, index_url() if url is None else url, today(), _judged, verify=verify
            )
        write_record(here.catalogue_folder / f"{record.source}.json", record)
        console.say(f"{wheel.file}: {found.platform}: {found.verdict}; torch{found.torch or ' not judged'}")
    told = {one.file: vars(one.audited) for one in record.wheels if one.audited is not None}
    console.result({"schema": 1, "audited": [wheel.file for wheel in wheels], "record": told})
    return 0


def _judged(path: Path) -> tuple[str, bool, str]:
    """The oldest platform that the files of a wheel run on, whether its tag is as new, and their torches."""
    from wheelmill.prove.abi import extension, window
    from wheelmill.prove.abi.kept import Shelf
    from wheelmill.prove.abi.model import AbiError
    from wheelmill.prove.audit.gate import judge

    verdict = judge(path)
    low = any(one.rule == "tag-matches-symbols" for one in verdict.findings if one.severity == "error")
    try:
        torches = window.judge(extension.read_extension(path), Shelf(project().abi_folder))[0].specifier
    except AbiError:  # nothing is recorded for its architecture
        torches = ""
    return verdict.platform_tag, not low, torches


@catalogue.command("windows")
@click.option("--index", "url", metavar="URL", help="Where they are. [default: the index that pip uses]")
@click.option("--dry-run", is_flag=True, help="Show what would be downloaded; change nothing.")
@output_options
def windows_of(url: str | None, dry_run: bool, console: Console) -> int:
    """Keep in which torches each published version runs, by the symbols of one of its wheels.

    Of each version one wheel is downloaded and judged as by wheelmill abi: for x86_64 where there is one, and
    the newest Python. What is known of the same bytes is not asked again, unless it reached the newest torch
    and a later one is recorded now. Each result is written at once, so that a run can be stopped at any time.
    Exit code 1 if a wheel could not be judged.
    """
    from wheelmill.catalogue.sample import to_download
    from wheelmill.catalogue.windows import judged, merged, place, read_windows, to_judge, write_windows
    from wheelmill.make.toolchain.pip_index import certificates, index_url
    from wheelmill.prove.abi.kept import Shelf

    here = project()
    record, shelf = _record(here), Shelf(here.abi_folder)
    path = place(here.catalogue_folder, record.source)
    windows = read_windows(path)
    wheels = to_judge(record, windows, shelf.of("torch", "x86_64")[-1].version)
    for line in to_download(wheels) or ("nothing to download: every version has its window",):
        console.say(line)
    if dry_run:
        console.result({"schema": 1, "to_download": {one.file: one.size for one in wheels}})
        return 0
    if (kept := merged(record, windows)) != windows:
        windows = kept  # without those of wheels that the record has no more
        write_windows(path, windows)
    index, verify, failed = index_url() if url is None else url, certificates(), {}
    for number, wheel in enumerate(wheels, 1):
        try:
            with console.step(f"Judging {wheel.file}, {number} of {len(wheels)}"):
                found = judged(record, wheel, index, partial(_windowed, shelf), verify=verify)
        except WheelmillError as error:
            failed[wheel.file] = error.message
            console.warn(f"{wheel.file}: {error.message}")
            continue
        windows = merged(record, windows, found)
        write_windows(path, windows)
        console.say(f"{wheel.file}: runs in torch {', '.join(found.runs) or 'none'}")
    console.result({"schema": 1, "windows": [vars(one) for one in windows], "failed": failed})
    return 1 if failed else 0


def _windowed(shelf: Shelf, path: Path, wheel: Wheel) -> Window:
    """In which torches a downloaded wheel runs, and what stops it in those next to them."""
    from wheelmill.catalogue import Window
    from wheelmill.prove.abi import extension, render, window

    judged = window.judge(extension.read_extension(path), shelf)[0].judgements
    return Window(
        file=wheel.file,
        sha256=str(wheel.sha256),
        day=today().isoformat(),
        judged=judged[-1].origin.version,
        runs=tuple(one.origin.version for one in judged if one.runs),
        without_cuda=tuple(one.origin.version for one in judged if one.runs and one.with_cuda),
        stops=tuple(f"{one.origin.version}: {render.alone(one)}" for one in window.beside(judged)),
    )


@catalogue.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="WHEEL...")
@click.option(
    "--source", default="releases", show_default=True, metavar="NAME", help="Whose wheels they are."
)
@click.option("--date", "day", metavar="DAY", help="The day of the release. [default: today]")
@output_options
def add(files: tuple[Path, ...], source: str, day: str | None, console: Console) -> int:
    """Record wheels of this project's own releases beside the published ones, under another source.

    Nothing is written if one of them is no wheel of the adapter, or is recorded with other bytes.
    """
    from datetime import datetime, timezone

    from wheelmill.catalogue.own import add as adding

    try:
        published = datetime.fromisoformat(day or today().isoformat()).replace(tzinfo=timezone.utc)
    except ValueError:
        raise click.UsageError(f"--date {day!r} is not a day; one looks like 2026-07-27.") from None
    folder = project().catalogue_folder
    record = adding(folder, files, published, source)
    console.say(f"{len(record.wheels)} wheels in {source}.json")
    console.result({"schema": 1, "file": str(folder / f"{source}.json"), "wheels": len(record.wheels)})
    return 0


def _record(here: Project) -> Record:
    """The record of the public index."""
    record = here.catalogue().record("index")
    if record is None:
        raise WheelmillError(
            f"There is no record of the index in {here.catalogue_folder}.",
            hint="Run `wheelmill catalogue refresh` once, with a network.",
        )
    return record


def _names(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more

"""`wheelmill catalogue`: record what is published."""

from __future__ import annotations

import click

from wheelmill.cli import output_options, project
from wheelmill.cli.matrix import today
from wheelmill.console import Console
from wheelmill.errors import WheelmillError

_SHOWN = 12  # names of one kind, before "and N more"


@click.group()
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
@output_options
def refresh(url: str | None, source: str, accept_changed: bool, console: Console) -> int:
    """Read the index and write matrix/catalogue/SOURCE.json: every wheel of torch_npu.

    METADATA is read of new wheels only, by the part. The record has no address of the index. Exit code 1 if
    a recorded file has other bytes now.
    """
    from wheelmill.catalogue import read_record, write_record
    from wheelmill.catalogue.refresh import refresh as read_index
    from wheelmill.make.toolchain.pip_index import certificates, index_url

    path = project().catalogue_folder / f"{source}.json"
    before = read_record(path) if path.is_file() else None
    with console.step("Reading the index"):
        found = read_index(
            url or index_url(),
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
        }
    )
    return 0


def _names(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more

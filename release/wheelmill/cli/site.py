"""`wheelmill site` and `readme-tables`: what users read, from the matrix and the catalogue."""

from __future__ import annotations

import errno
import os
from datetime import datetime
from pathlib import Path

import click

from wheelmill.cli import output_options, project
from wheelmill.cli.matrix import today
from wheelmill.console import Console


@click.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path(".wheelmill/site"),
    show_default=True,
    help="The folder to write; files of an earlier run are replaced, and all others stay.",
)
@click.option(
    "--today", "day", type=click.DateTime(["%Y-%m-%d"]), help="Compute stages for this day. [default: today]"
)
@click.option("--base", metavar="URL", help="The address the site will have, for links in the feed.")
@output_options
def site(out: Path, day: datetime | None, base: str | None, console: Console) -> int:
    """Write the static site: picker, tables, timeline, notes, explainer, and all data as files.

    English and Chinese, without a server: open index.html. The same matrix, catalogue, notes and day give the
    same bytes.
    """
    from wheelmill import pick as picking
    from wheelmill.pick.site import Site, base_address, settle, write
    from wheelmill.store.scratch import scratch_folder

    here, date = project(), day.date() if day else today()
    shelf = picking.Shelf(here.matrix(), here.catalogue(), date)
    address = base_address(base) if base else None
    out.mkdir(parents=True, exist_ok=True)
    if not os.access(out, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(out))
    with console.step("writing the site"), scratch_folder(out, ".new-") as staged:
        written = write(Site(shelf, here.notes(), address), staged)
        settle(written, staged, out)
    console.say(f"{len(written)} files in {out}; open {out / 'index.html'}")
    console.result({"schema": 1, "folder": str(out), "files": len(written), "day": date.isoformat()})
    return 0


@click.command("readme-tables")
@click.option("--check", is_flag=True, help="Only compare with the files; exit code 1 if one is stale.")
@output_options
def readme_tables(check: bool, console: Console) -> int:
    """Write the table of versions into README.md and README.zh.md, between their markers."""
    from wheelmill import pick as picking
    from wheelmill.errors import WheelmillError
    from wheelmill.pick.readme import READMES, replaced, table

    here = project()
    shelf = picking.Shelf(here.matrix(), here.catalogue(), today())
    stale = []
    for name, language in READMES.items():
        path = here.checkout / name
        text = path.read_text(encoding="utf-8")
        fresh = replaced(text, table(shelf, language), name)
        if fresh != text:
            stale.append(name)
            if not check:
                path.write_text(fresh, encoding="utf-8")
    console.result({"schema": 1, "stale": stale})
    if check and stale:
        raise WheelmillError(
            f"{' and '.join(stale)}: the table of versions is stale.", hint="Run `wheelmill readme-tables`."
        )
    console.say(f"written: {', '.join(stale)}" if stale else "both tables are fresh")
    return 0

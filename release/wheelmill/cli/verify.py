"""`wheelmill audit`, `reproduce`: judge wheels, of whatever make."""

from __future__ import annotations

from pathlib import Path

import click

from wheelmill.cli import output_options, project
from wheelmill.console import Console
from wheelmill.errors import WheelmillError


@click.command()
@click.argument("wheels", nargs=-1, type=click.Path(path_type=Path), metavar="[WHEEL]...")
@click.option("--policy", metavar="NAME", help="Hold wheels to this platform policy, e.g. manylinux_2_28.")
@output_options
def audit(wheels: tuple[Path, ...], policy: str | None, console: Console) -> int:
    """Audit WHEELs, of any make; without words the newest of every wheel in the store.

    Exit code: 0 all are releasable, 3 some are good for this machine only, 1 some are refused.
    """
    import dataclasses

    from wheelmill import audit as gate

    found = wheels or _stored_wheels()
    verdicts = []
    for wheel in found:
        expectation = gate.Expectation.from_wheel(wheel)
        if policy:
            expectation = dataclasses.replace(expectation, policy=policy)
        verdicts.append(gate.audit(wheel, expectation))
        console.say(gate.render_text(verdicts[-1]))
    console.result({"schema": 1, "wheels": [gate.to_json(verdict) for verdict in verdicts]})
    codes = {verdict.exit_code for verdict in verdicts}
    return gate.EXIT_REFUSED if gate.EXIT_REFUSED in codes else max(codes)


def _stored_wheels() -> tuple[Path, ...]:
    from wheelmill.store import Store, default_root

    store = Store(default_root(project().checkout))
    files = {str(record.data["file"]): record.data["digest"] for record in store.records("audit")}
    if not files:
        raise WheelmillError(
            f"There is no wheel in {store.root}.",
            hint="Name wheel files, or build some: wheelmill build 3.11-x86_64",
        )
    return tuple(store.export(digest, store.root / "admitted", file) for file, digest in files.items())

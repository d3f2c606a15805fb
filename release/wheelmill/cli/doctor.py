"""`wheelmill doctor`: what is wrong on this machine, and what fits it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from wheelmill.cli import output_options, project
from wheelmill.cli.language import language_option
from wheelmill.cli.matrix import today
from wheelmill.console import Console

if TYPE_CHECKING:
    from wheelmill.pick import NoFit, Pick, Shelf
    from wheelmill.pick.doctor.facts import Facts
    from wheelmill.pick.model import Lang, PickError


@click.command()
@click.option(
    "--python", metavar="FILE", help="The Python to examine. [default: the activated environment's]"
)
@click.option("--no-import", "no_import", is_flag=True, help="Do not try to import torch and torch_npu.")
@language_option
@output_options
def doctor(python: str | None, no_import: bool, language: Lang, console: Console) -> int:
    """Say what is wrong on this machine, the command that mends it, and which wheel fits.

    Reads Python and its packages, the C library, CANN, the driver and devices, variables, pip's and uv's
    settings; imports torch in a process of its own. Changes nothing. Exit code 1 if something is wrong.
    """
    from wheelmill import pick as picking
    from wheelmill.cli.explain import explained
    from wheelmill.pick.doctor.checks import Patient, diagnose
    from wheelmill.pick.doctor.look import Options, look
    from wheelmill.pick.doctor.report import render, severity, to_json
    from wheelmill.pick.model import LANGS, PickError

    here = project()
    shelf = picking.Shelf(here.matrix(), here.catalogue(), today())
    with console.step("reading this machine"):
        facts = look(Options(python=python, imports=not no_import), os.environ)
    answer, no_fit = _pick(shelf, facts), None
    if isinstance(answer, PickError):
        no_fit = answer.said
    elif isinstance(answer, picking.NoFit):
        no_fit = {lang: picking.render_text(answer, lang=lang).splitlines()[0] for lang in LANGS}
    failed = explained(facts.imported.output) if facts.imported.ended == "failed" else None
    found = diagnose(Patient(facts, shelf, no_fit, failed))
    console.say(render(facts, found, language))
    told = None if isinstance(answer, PickError) else answer
    if told is not None and (facts.package("torch-npu") is None or no_fit):
        console.say(f"\n{picking.render_text(told, lang=language)}")
    console.result({"schema": 2, **to_json(facts, found), "pick": told and picking.to_json(told)})
    return 1 if any(severity(one) == "error" for one in found) else 0


def _pick(shelf: Shelf, facts: Facts) -> Pick | NoFit | PickError:
    """What fits this Python, architecture and C library, and its CANN where there is one that fits too.

    The error of a Python or an architecture that no wheel can be for.
    """
    from wheelmill import pick as picking
    from wheelmill.pick.model import PickError

    interpreter = facts.interpreter
    glibc = interpreter.libc[1] if interpreter.libc[0] == "glibc" else None
    try:
        request = picking.parse_request(python=interpreter.kind, arch=interpreter.arch, glibc=glibc)
    except PickError as error:
        return error
    cann = facts.cann.version if facts.cann is not None else None
    script = facts.cann.set_env if facts.cann is not None else None
    return picking.answer(shelf, request, {"cann": cann} if cann else {}, script=script)

"""`wheelmill audit`, `reproduce`: judge wheels, whoever built them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from wheelmill.cli import described, home, output_options, project
from wheelmill.cli.options import EngineOptions, engine_options
from wheelmill.console import Console
from wheelmill.errors import WheelmillError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from wheelmill.describe import Described
    from wheelmill.make.packages.compilers import Place
    from wheelmill.make.reproduce import Reproduction
    from wheelmill.prove.audit import Terms, Verdict


@click.command()
@click.argument("wheels", nargs=-1, type=click.Path(path_type=Path), metavar="[WHEEL]...")
@click.option("--policy", metavar="NAME", help="Hold wheels to this platform policy, such as manylinux_2_28.")
@output_options
def audit(wheels: tuple[Path, ...], policy: str | None, console: Console) -> int:
    """Audit WHEELs, whoever built them. Without a WHEEL, audit the newest of each wheel in the store.

    The rules are those of the wheel's specifications. Wheels of the project file here are also held to the
    rules that it names.

    Exit code: 0 all are releasable; 3 some are local only, good for this machine; 1 some are refused.
    """
    from wheelmill.prove import audit as gate

    verdicts = []
    for verdict in _judged(wheels, policy) if wheels else _judged_of_store(policy, console):
        verdicts.append(verdict)
        console.say(gate.render_text(verdict))
    console.result({"schema": 1, "wheels": [gate.to_json(verdict) for verdict in verdicts]})
    codes = {verdict.exit_code for verdict in verdicts}
    return gate.EXIT_REFUSED if gate.EXIT_REFUSED in codes else max(codes)


def _judged(wheels: Iterable[Path], policy: str | None) -> Iterator[Verdict]:
    from wheelmill.prove import audit as gate

    terms = _terms()
    yield from (gate.judge(wheel, policy, terms) for wheel in wheels)


def _terms() -> Terms | None:
    """What the project file here asks of its own wheels, beyond the specifications; None without one."""
    from wheelmill.prove.audit import Terms

    found = described()
    return None if found is None else Terms.of(found.project)


def _judged_of_store(policy: str | None, console: Console) -> Iterator[Verdict]:
    """The newest of every wheel in the store; one that is damaged or gone is refused."""
    from wheelmill.prove import audit as gate
    from wheelmill.publish.pipeline import admitted
    from wheelmill.store import Store, default_root

    store, file, terms = Store(default_root(home()), notice=console.warn), described(), _terms()
    policies = {} if file is None else {cell.key: file.policy(cell) for cell in file.cells}
    stored, absent = admitted(store)
    if not stored and not absent:
        raise WheelmillError(
            f"There is no wheel in {store.root}.",
            hint="Name wheel files, or build some: wheelmill build 3.11-x86_64",
        )
    for name, data in stored.items():
        held = policy or policies.get(str(data.get("cell")))
        yield gate.judge(store.export(data["digest"], store.root / "admitted", name), held, terms)
    for name, text in absent.items():
        yield gate.unjudged(Path(name), text)


@click.command()
@click.argument("wheel", type=click.Path(path_type=Path), metavar="WHEEL")
@click.option(
    "--anyway",
    is_flag=True,
    help="Build even if the sources or the compiler differ, to see what that changes.",
)
@engine_options
@output_options
def reproduce(wheel: Path, anyway: bool, engine: EngineOptions, console: Console) -> int:
    """Build WHEEL again from its recipe, in another folder and without caches, and compare.

    Unless --engine names one, the engine is the one that has the recorded compiler. Differences are listed by
    member, and by section in native files. Exit code: 0 the same bytes; 1 different bytes; 4 the wheel cannot
    be built again here, with the reason.
    """
    found = reproduced(wheel, engine, console, anyway=anyway)
    console.result(found.to_json())
    console.say(reproduction_text(found))
    return 0 if found.comparison.same else 1


def reproduced(wheel: Path, engine: EngineOptions, console: Console, *, anyway: bool = False) -> Reproduction:
    """The wheel built again, and compared. Raises CannotReproduceError where that is not possible here."""
    import dataclasses
    from functools import partial

    from wheelmill.make import reproduce as again

    if (file := described()) is not None:
        return _reproduced_package(wheel, file, engine, console, anyway=anyway)
    recorded = again.read_recorded(wheel)
    matrix = project().matrix()
    cell = again.cell_of(recorded, matrix)
    workshop = EngineOptions(jobs=engine.jobs).workshop(console)
    engines = {
        options.engine: partial(options.make, workshop.store, matrix, console)
        for options in engine.candidates()
    }
    folder = workshop.store.root / "reproduce" / str(recorded.stamp["key"])[:16]
    try:
        chosen = again.choose_engine(recorded, cell, engines, anyway=anyway)
        with console.step(f"build {wheel.name} again with engine {chosen.name}"):
            workshop = dataclasses.replace(workshop, engine=chosen)
            return again.reproduce(recorded, cell, workshop, folder, anyway=anyway)
    except again.CannotReproduceError:
        raise
    except WheelmillError as error:
        raise again.CannotReproduceError(error.message, hint=error.hint) from error


def _reproduced_package(
    wheel: Path, file: Described, engine: EngineOptions, console: Console, *, anyway: bool
) -> Reproduction:
    """The same for a wheel of the project that a file describes."""
    import dataclasses
    from functools import partial

    from wheelmill.make.packages import reproduce as again
    from wheelmill.make.packages.compilers import OnHost
    from wheelmill.make.reproduce import CannotReproduceError

    try:
        recorded = again.read_recorded(wheel)
        if recorded is None:
            raise CannotReproduceError(
                f"{wheel.name} has no recipe of a project with a file: wheelmill did not build it from one",
                hint="name a wheel that `wheelmill build` made; where you are, that is one of "
                f"{file.project.package}",
            )
        cell = again.cell_of(recorded, file)
        shop, _ = engine.shop(file, console)
        matrix = project().quick_matrix()
        places: dict[str, Callable[[], Place]] = {"host": partial(OnHost, None)}
        docker = partial(dataclasses.replace(engine, engine="docker").place, shop.store, matrix, console)
        if engine.engine == "docker":
            places = {"docker": docker}
        elif engine.engine == "auto":
            places["docker"] = docker
        place = again.choose_place(recorded, cell, shop, places, anyway=anyway)
        folder = shop.store.root / "reproduce" / str(recorded.stamp["key"])[:16]
        with console.step(f"build {wheel.name} again with engine {place.name}"):
            rebuild = again.Rebuild(recorded, cell, dataclasses.replace(shop, place=place))
            return again.reproduce(rebuild, folder, anyway=anyway)
    except CannotReproduceError:
        raise
    except WheelmillError as error:
        raise CannotReproduceError(error.message, hint=error.hint) from error


def reproduction_text(found: Reproduction) -> str:
    """What came out, for people."""
    lines = [f"made from something else: {text}" for text in found.changed]
    if found.comparison.same:
        took = sum(found.seconds.values())
        return "\n".join([*lines, f"the same bytes ({found.cell.key}, engine {found.engine}, {took:.1f} s)"])
    lines.append(f"not the same bytes: {len(found.comparison.differences)} members differ")
    for difference in found.comparison.differences:
        lines.append(f"  {difference.name}")
        lines.append(f"    given    {difference.given or 'not there'}")
        lines.append(f"    rebuilt  {difference.rebuilt or 'not there'}")
        lines += [f"    {detail}" for detail in difference.details]
    lines += [f"  archive: {text}" for text in found.comparison.framing]
    return "\n".join([*lines, f"The rebuilt wheel is kept: {found.rebuilt}"])

"""What each state of a release takes: one function per step, from the session before it to the one after it.

A step may be killed anywhere and is then done again from its beginning, so each leaves what is already right
as it is. It returns the next session and records nothing but the beginning of the publish: that is the
conductor's.
"""

from __future__ import annotations

import shutil
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from wheelmill.progress import Progress, silent
from wheelmill.publish.index import BuiltIndex, IndexServer, Request, WheelRecord, build_index
from wheelmill.publish.index.intact import is_intact
from wheelmill.publish.release import checks, feed, folder, public, recorded, signing
from wheelmill.publish.release.builder import MadeCell, MadeWheel, refuse_local_only, refuse_not_run
from wheelmill.publish.release.installers import INSTALLERS, Installer, InstallError
from wheelmill.publish.release.product import Product
from wheelmill.publish.release.read_back import read_back
from wheelmill.publish.release.repository import Repository
from wheelmill.publish.release.session import File, ReleaseError, Session, State, moment, stamp
from wheelmill.publish.release.sessions import Sessions
from wheelmill.publish.sign import load_keyring, load_signers
from wheelmill.publish.sign.identity import Attestor, ambient_attestor, attest_identity
from wheelmill.store import Store
from wheelmill.wheel.wheelfile import rewrite


@dataclass(frozen=True)
class Tools:
    """What steps work with. `read_url` is the public index's address as users see it, None for loopback.

    `signers` finds the private keys of a keyring; `attestor` gives the identity of this CI job.
    """

    sessions: Sessions
    product: Product
    installers: tuple[Installer, ...] = INSTALLERS
    note: Progress = silent
    read_url: str | None = None
    signers: signing.MakeSigners = load_signers
    attestor: Callable[[], Attestor] = ambient_attestor

    @property
    def repository(self) -> Repository:
        """The clone that releases are cut from."""
        return self.product.repository

    @property
    def how(self) -> public.How:
        """How indexes are made: roots as the newest release's commit has them, signed by today's keyring."""
        return public.How(self.product.layout, lambda: self.signers(load_keyring(self.product.keys)))

    def named(self, session: Session) -> Session:
        """The session with the address of its index, where this command names one."""
        return session if self.read_url is None else replace(session, url=self.read_url)

    @property
    def store(self) -> Store:
        """Where all state is."""
        return self.sessions.store

    def case(self, session: Session) -> checks.Case:
        """What checks look at."""
        return checks.Case(
            session=self.named(session),
            product=self.product,
            signers=self.signers,
            sessions=self.sessions,
            today=self.sessions.now().date(),
            attestor=self.attestor,
        )

    def tree(self, session: Session) -> Path:
        """Where the sources of the tag are checked out."""
        return self.store.root / "work" / "trees" / session.name.replace("/", "_")


Step = Callable[[Session, Tools], Session]


def check(session: Session, tools: Tools) -> Session:
    """Run every check. Raises NotReadyError with all that they find."""
    case = tools.case(session)
    found = checks.problems(case)
    if found:
        raise checks.NotReadyError(session.name, found)
    product = tools.product
    facts = {
        "package": product.package,
        "title": product.title(session),
        "said": dict(product.facts(session, case.today)),
        "cells": list(product.cells(session)),
        "checks": [*product.checks, *checks.CHECKS],
        "tag_was_there": tools.repository.tag(session.name) is not None,
    }
    return tools.named(session).advanced("checked", tools.sessions.now(), facts)


def tag(session: Session, tools: Tools) -> Session:
    """Make the tag, and the branch where a line is one."""
    checked = session.facts["checked"]
    made = tools.product.branches and tools.repository.ensure_branch(session.branch, session.commit)
    text = f"{checked['title']}\n\nmatrix: sha256 {checked['said']['matrix']}"
    tools.repository.ensure_tag(session.name, session.commit, text)
    facts = {"branch": session.branch, "branch_made": made, "tag": session.name}
    return session.advanced("tagged", tools.sessions.now(), facts)


def build(session: Session, tools: Tools) -> Session:
    """Build every cell from the tag. Raises ReleaseError for a wheel that may not be released."""
    there = tools.repository.tag(session.name)
    if there != session.commit:
        raise ReleaseError(
            f"the tag {session.name} is {'gone' if there is None else 'at ' + there[:12]}, "
            f"the release is of {session.commit[:12]}",
            hint=f"A tag of a release does not move: wheelmill release abort {session.branch}",
        )
    tree = tools.repository.worktree(tools.tree(session), session.commit)
    made = tools.product.build(session, tree)
    refuse_local_only(session, made)
    refuse_not_run(session, {cell.key: cell.not_run for cell in made if cell.smoke is None})
    facts = {"cells": {cell.key: _cell_json(session, cell) for cell in made}}
    return session.advanced("built", tools.sessions.now(), facts)


def _cell_json(session: Session, cell: MadeCell) -> dict[str, Any]:
    waiver = session.waiver(cell.key) if cell.smoke is None else None  # where it ran, nobody has to answer
    return {
        "wheels": [vars(wheel) | {"verdict": dict(wheel.verdict)} for wheel in cell.wheels],
        "smoke": None if cell.smoke is None else dict(cell.smoke),
        "waived": None if waiver is None else {"who": waiver.who, "reason": waiver.reason},
    }


# -------------------------------------------------------------------------------------------------- the stage
def stage_folder(session: Session, store: Store) -> Path:
    """The stage's index: a folder that any server, or `wheelmill serve --index`, gives an address."""
    return store.root / "stages" / f"{session.name.replace('/', '_')}-{session.attempt}"


def stage(session: Session, tools: Tools) -> Session:
    """Lay the wheels out in an index of the stage's own, which nobody else is pointed to."""
    taken = tools.sessions.taken_names()
    files: dict[str, File] = {}
    renamed: dict[str, str] = {}
    for key, cell in session.facts["built"]["cells"].items():
        for made in (MadeWheel(**one) for one in cell["wheels"]):
            wheel = _unlike_published(made, taken, tools.store) if made.companion else made
            renamed[made.file] = wheel.file
            several = made.companion or wheel.file in files
            files[wheel.file] = _file(wheel, None if several else key, tools.store)
    released = tuple(files.values())
    wrong = [*public.conflicts(released, taken), *recorded.conflicts(tools.product, released)]
    if wrong:
        raise ReleaseError(
            f"{session.name} would give published names other bytes: {'; '.join(wrong)}",
            hint=f"Release another version: {tools.product.raise_it}.",
        )
    built = _lay_out(session, released, tools.store)
    facts = {
        "index": str(built.path),
        "tree": built.tree.name,
        "wheels": len(files),
        "renamed": renamed,
    }
    return session.advanced("staged", tools.sessions.now(), facts, files=tuple(files.values()))


def _lay_out(session: Session, wheels: Sequence[File], store: Store) -> BuiltIndex:
    """Make the stage of these wheels, or make it whole again."""
    uploaded = moment(session.started)
    records = [
        WheelRecord.from_wheel(store.get(file.sha256), uploaded, filename=file.name, sha256=file.sha256)
        for file in wheels
    ]
    out = stage_folder(session, store)
    out.parent.mkdir(parents=True, exist_ok=True)
    return build_index(records, out)


def _file(wheel: MadeWheel, cell: str | None, store: Store) -> File:
    return File(wheel.file, wheel.sha256, store.get(wheel.sha256).stat().st_size, wheel.kind, cell)


def _unlike_published(wheel: MadeWheel, taken: Mapping[str, tuple[File, str]], store: Store) -> MadeWheel:
    """The wheel itself, or with the lowest build number that is free.

    Several lines may share a companion's version. Where an earlier release has that name with other bytes,
    this one is another build of it: installers take the highest number.
    """
    number, found = 0, wheel
    while found.file in taken and taken[found.file][0].sha256 != found.sha256:
        number += 1
        with store.scratch("build-number-") as scratch:
            named = store.export(wheel.sha256, scratch, wheel.file)
            tag = "-".join(wheel.file.removesuffix(".whl").split("-")[-3:])
            path = rewrite(named, scratch / "numbered", tag=tag, build=number)
            found = replace(wheel, file=path.name, sha256=store.put(path))
    return found


def verify(session: Session, tools: Tools) -> Session:
    """Have each installer take each cell's wheels from the stage, over HTTP."""
    out, machines = stage_folder(session, tools.store), tools.product.machines(session)
    if not is_intact(out, session.facts["staged"].get("tree"), tools.store.fault):
        tools.note(f"the stage {out} is not as it was made; making it again")
        _lay_out(session, session.files, tools.store)
    versions = {installer.name: installer.version() for installer in tools.installers}
    wanted = {file.name: file.sha256 for file in session.files}
    taken: dict[str, dict[str, Any]] = {one.key: {} for one in machines}
    asked: list[Request] = []
    with IndexServer(out, listener=asked.append) as server:
        for cell in machines:
            requirements = tools.product.requirements(session, cell.key)
            for installer in tools.installers:
                reason = installer.cannot(cell)
                if reason is None:
                    tools.note(f"{installer.name} takes {cell.key} from the stage")
                    asked.clear()
                    installer.take(cell, requirements, server.simple_url)
                taken[cell.key][installer.name] = reason or _taken(asked, wanted, cell.key, requirements)
    facts = {"installers": versions, "taken": taken}
    return session.advanced("verified", tools.sessions.now(), facts)


def _taken(
    asked: Sequence[Request], wanted: Mapping[str, str], cell: str, requirements: Sequence[str]
) -> list[str]:
    """The wheels that were downloaded: exactly one for each requirement, and those that were staged."""
    got = [one for one in asked if one.method == "GET" and one.path.endswith(".whl")]
    paths = [urllib.parse.unquote(one.path).split("/") for one in got]
    found = {path[-1]: path[-2] for path in paths}  # files/<sha256>/<name>
    projects = sorted(canonicalize_name(name.partition("-")[0]) for name in found)
    asked_for = sorted(canonicalize_name(Requirement(one).name) for one in requirements)
    if projects != asked_for or any(wanted.get(n) != d for n, d in found.items()):
        raise InstallError(
            f"{cell}: {', '.join(sorted(found)) or 'nothing'} was taken from the stage, not the cell's wheels"
        )
    return sorted(found)


# -------------------------------------------------------------------------------------- sealed and published
def seal(session: Session, tools: Tools) -> Session:
    """Write the release folder, with its sums and signatures; from now on no file of it may change."""
    store = tools.store
    wheels = {file.name: file for file in session.files if file.is_wheel}
    with store.scratch("seal-") as home:
        for file in wheels.values():
            store.export(file.sha256, home, file.name)
        for name, data in tools.product.notes(session).items():
            (home / name).write_bytes(data)
        about = partial(folder.manifest, session, home, wheels)
        if session.identity:
            attest_identity(home, tools.attestor())
        if session.signed:
            keyring = tools.product.keyring(session.commit)
            signing.sign(home, session, keyring, tools.signers, about)
        else:
            folder.add_sboms(home, wheels)
            (home / folder.MANIFEST).write_bytes(about())
            folder.add_sums(home)
        folder.check_sboms(home)
        files = folder.files_in(home, wheels, store)
    path = folder.write(session, files, store)
    facts = {"folder": str(path), "signed": session.signed}
    return session.advanced("sealed", tools.sessions.now(), facts, files=files)


def publish(session: Session, tools: Tools) -> Session:
    """Show the release in the public index, by one rename."""
    folder.check_sealed(session, tools.store)
    into = Path(session.into)
    into.parent.mkdir(parents=True, exist_ok=True)
    with public.alone(into):
        if session.publishing is None:
            session = replace(session, publishing=stamp(tools.sessions.now()))
        session = tools.sessions.write(replace(tools.named(session), withdrawn=None))
        begun = moment(str(session.publishing))  # the same bytes, whenever it is done again
        shown = public.show(tools.sessions, into, tools.how, begun, session)
    return session.advanced("published", tools.sessions.now(), shown.to_json())


def announce(session: Session, tools: Tools) -> Session:
    """Read the release back over HTTP, and only then tell people of it."""
    facts = read_back(session, Path(session.into), tools.read_url)
    done = session.advanced("announced", tools.sessions.now(), facts)
    for older in tools.sessions.of_branch(session.branch):
        if older.name == session.name:
            break
        if older.is_public and older.superseded_by is None:
            tools.sessions.write(replace(older, superseded_by=session.version))
    feed.write(tools.sessions, done)
    recorded.write(tools.product, [done], tools.store)
    shutil.rmtree(stage_trees(session, tools.store), ignore_errors=True)
    stage_folder(session, tools.store).unlink(missing_ok=True)
    tools.repository.remove_worktree(tools.tree(session))
    return done


def stage_trees(session: Session, store: Store) -> Path:
    """The folder behind the stage's link."""
    out = stage_folder(session, store)
    return out.with_name(f".{out.name}.trees")


STEPS: Mapping[State, Step] = {
    "checked": check,
    "tagged": tag,
    "built": build,
    "staged": stage,
    "verified": verify,
    "sealed": seal,
    "published": publish,
    "announced": announce,
}

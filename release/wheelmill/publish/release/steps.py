"""What each state of a release takes: one function per step, from the session before it to the one after it.

A step may be killed anywhere and is then done again from its beginning, so each leaves what is already right
as it is. It returns the next session and records nothing but the beginning of the publish: that is the
conductor's.
"""

from __future__ import annotations

import shutil
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from wheelmill.make.metadata import ADAPTER, SIMULATOR
from wheelmill.matrix import Line, Matrix, load
from wheelmill.progress import Progress, silent
from wheelmill.project import MATRIX
from wheelmill.publish.index import BuiltIndex, IndexServer, Layout, Request, WheelRecord, build_index
from wheelmill.publish.index.intact import is_intact
from wheelmill.publish.index.views import layout_of
from wheelmill.publish.notes import notes_for, side_files
from wheelmill.publish.release import checks, feed, folder, public, recorded, signing
from wheelmill.publish.release.builder import Builder, MadeCell, MadeWheel, refuse_local_only, refuse_not_run
from wheelmill.publish.release.installers import INSTALLERS, Installer, InstallError
from wheelmill.publish.release.read_back import read_back
from wheelmill.publish.release.repository import Repository
from wheelmill.publish.release.session import File, ReleaseError, Session, State, moment, stamp
from wheelmill.publish.release.sessions import Sessions
from wheelmill.publish.sign import load_keyring, load_signers
from wheelmill.publish.sign.identity import Attestor, ambient_attestor, attest_identity
from wheelmill.store import Store
from wheelmill.wheel.wheelfile import rewrite

NOTES = Path("release", "notes")
KEYS = Path("release", "keys.yaml")


@dataclass(frozen=True)
class Tools:
    """What steps work with. `read_url` is the public index's address as users see it, None for loopback.

    `signers` finds the private keys of a keyring; `cannot_run` has of each cell that is not smoke-run on this
    machine: key -> why; `attestor` gives the identity of this CI job.
    """

    sessions: Sessions
    repository: Repository
    build: Builder
    cannot_run: Callable[[Session, Line], Mapping[str, str]]
    installers: tuple[Installer, ...] = INSTALLERS
    note: Progress = silent
    read_url: str | None = None
    signers: signing.MakeSigners = load_signers
    attestor: Callable[[], Attestor] = ambient_attestor
    _matrices: dict[str, Matrix] = field(default_factory=dict, repr=False)

    @property
    def how(self) -> public.How:
        """How indexes are made: roots of the newest release's matrix, signed by the checkout's keyring."""
        return public.How(self.layout, lambda: self.signers(load_keyring(self.repository.root / KEYS)))

    def named(self, session: Session) -> Session:
        """The session with the address of its index, where this command names one."""
        return session if self.read_url is None else replace(session, url=self.read_url)

    def layout(self, session: Session) -> Layout:
        """The roots of the index as the release's matrix has them, on the day of its publishing."""
        return layout_of(self.matrix(session.commit), moment(str(session.publishing)).date())

    @property
    def store(self) -> Store:
        """Where all state is."""
        return self.sessions.store

    def data(self, commit: str) -> Path:
        """A folder with matrix, release notes and public keys as the commit has them, in their places."""
        folder = self.store.root / "work" / "commits" / commit
        if commit not in self._matrices:
            for name in self.repository.files(commit, MATRIX.as_posix(), NOTES.as_posix(), KEYS.as_posix()):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(self.repository.file(commit, name))
            self._matrices[commit] = load(folder / MATRIX)
        return folder

    def matrix(self, commit: str) -> Matrix:
        """The matrix as the commit has it."""
        self.data(commit)
        return self._matrices[commit]

    def line(self, session: Session) -> Line:
        """The line as the release's commit has it."""
        return self.matrix(session.commit).line(session.branch)

    def case(self, session: Session) -> checks.Case:
        """What checks look at."""
        matrix = self.matrix(session.commit)
        line = matrix.line(session.branch)
        return checks.Case(
            session=self.named(session),
            matrix=matrix,
            notes=self.data(session.commit) / NOTES,
            keyring=self.data(session.commit) / KEYS,
            signers=self.signers,
            line=line,
            repository=self.repository,
            sessions=self.sessions,
            today=self.sessions.now().date(),
            cannot_run=self.cannot_run(session, line),
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
    facts = {
        **checks.stage_facts(case),
        "matrix": case.matrix.digest,
        "cann": case.line.cann,
        "torch": case.line.torch.version,
        "cells": [cell.key for cell in case.line.cells()],
        "checks": list(checks.CHECKS),
        "tag_was_there": tools.repository.tag(session.name) is not None,
    }
    return tools.named(session).advanced("checked", tools.sessions.now(), facts)


def tag(session: Session, tools: Tools) -> Session:
    """Make the branch and the tag, named as the matrix has them."""
    line = tools.line(session)
    made = tools.repository.ensure_branch(session.branch, session.commit)
    text = (
        f"{ADAPTER} {session.version} for torch {line.torch.version} and CANN {line.cann}\n\n"
        f"matrix: sha256 {session.facts['checked']['matrix']}"
    )
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
    made = tools.build(session, tools.matrix(session.commit), tools.line(session), tree)
    refuse_local_only(session, made)
    refuse_not_run(session, {cell.key: cell.not_run for cell in made if cell.smoke is None})
    facts = {"cells": {cell.key: _cell_json(session, cell) for cell in made}}
    return session.advanced("built", tools.sessions.now(), facts)


def _cell_json(session: Session, cell: MadeCell) -> dict[str, Any]:
    waiver = session.waiver(cell.key) if cell.smoke is None else None  # where it ran, nobody has to answer
    return {
        "adapter": vars(cell.adapter) | {"verdict": dict(cell.adapter.verdict)},
        "simulator": vars(cell.simulator) | {"verdict": dict(cell.simulator.verdict)},
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
    simulators: dict[str, str] = {}
    for key, cell in session.facts["built"]["cells"].items():
        adapter, simulator = (_made_wheel(cell[kind]) for kind in ("adapter", "simulator"))
        files[adapter.file] = _file(adapter, "adapter", key, tools.store)
        shared = _unlike_published(simulator, taken, tools.store)
        simulators[simulator.file] = shared.file
        files[shared.file] = _file(shared, "simulator", None, tools.store)
    released = tuple(files.values())
    wrong = [*public.conflicts(released, taken), *recorded.conflicts(tools.repository.root, released)]
    if wrong:
        raise ReleaseError(
            f"{session.name} would give published names other bytes: {'; '.join(wrong)}",
            hint="Raise the line's `adapter` version in the matrix, and release that.",
        )
    built = _lay_out(session, released, tools.store)
    facts = {
        "index": str(built.path),
        "tree": built.tree.name,
        "wheels": len(files),
        "simulators": simulators,
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


def _made_wheel(data: Mapping[str, Any]) -> MadeWheel:
    return MadeWheel(data["file"], data["sha256"], data["verdict"])


def _file(wheel: MadeWheel, kind: str, cell: str | None, store: Store) -> File:
    return File(wheel.file, wheel.sha256, store.get(wheel.sha256).stat().st_size, kind, cell)


def _unlike_published(wheel: MadeWheel, taken: Mapping[str, tuple[File, str]], store: Store) -> MadeWheel:
    """The wheel itself, or with the lowest build number that is free.

    All lines on one torch share the simulator's version. Where an earlier release has that name with other
    bytes, this one is another build of it: installers take the highest number.
    """
    number, found = 0, wheel
    while found.file in taken and taken[found.file][0].sha256 != found.sha256:
        number += 1
        with store.scratch("build-number-") as scratch:
            named = store.export(wheel.sha256, scratch, wheel.file)
            tag = "-".join(wheel.file.removesuffix(".whl").split("-")[-3:])
            path = rewrite(named, scratch / "numbered", tag=tag, build=number)
            found = MadeWheel(path.name, store.put(path), wheel.verdict)
    return found


def verify(session: Session, tools: Tools) -> Session:
    """Have each installer take each cell's wheels from the stage, over HTTP."""
    out, line = stage_folder(session, tools.store), tools.line(session)
    if not is_intact(out, session.facts["staged"].get("tree"), tools.store.fault):
        tools.note(f"the stage {out} is not as it was made; making it again")
        _lay_out(session, session.files, tools.store)
    versions = {installer.name: installer.version() for installer in tools.installers}
    wanted = {file.name: file.sha256 for file in session.files}
    taken: dict[str, dict[str, Any]] = {cell.key: {} for cell in line.cells()}
    asked: list[Request] = []
    with IndexServer(out, listener=asked.append) as server:
        for cell in line.cells():
            requirements = (f"{ADAPTER}=={session.version}", f"{SIMULATOR}=={line.torch.version}")
            for installer in tools.installers:
                reason = installer.cannot(cell)
                if reason is None:
                    tools.note(f"{installer.name} takes {cell.key} from the stage")
                    asked.clear()
                    installer.take(cell, requirements, server.simple_url)
                taken[cell.key][installer.name] = reason or _taken(asked, wanted, cell.key)
    facts = {"installers": versions, "taken": taken}
    return session.advanced("verified", tools.sessions.now(), facts)


def _taken(asked: Sequence[Request], wanted: Mapping[str, str], cell: str) -> list[str]:
    """The wheels that were downloaded: exactly one adapter and one simulator, and those that were staged."""
    got = [one for one in asked if one.method == "GET" and one.path.endswith(".whl")]
    paths = [urllib.parse.unquote(one.path).split("/") for one in got]
    found = {path[-1]: path[-2] for path in paths}  # files/<sha256>/<name>
    projects = sorted(name.partition("-")[0] for name in found)
    if projects != sorted((ADAPTER, SIMULATOR)) or any(wanted.get(n) != d for n, d in found.items()):
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
        for name, data in _notes(session, tools).items():
            (home / name).write_bytes(data)
        about = partial(folder.manifest, session, home, wheels)
        if session.identity:
            attest_identity(home, tools.attestor())
        if session.signed:
            keyring = tools.data(session.commit) / KEYS
            signing.sign(home, session, keyring, tools.signers, about)
        else:
            folder.add_sboms(home, wheels)
            (home / folder.MANIFEST).write_bytes(about())
            folder.add_sums(home)
        files = folder.files_in(home, wheels, store)
    path = folder.write(session, files, store)
    facts = {"folder": str(path), "signed": session.signed}
    return session.advanced("sealed", tools.sessions.now(), facts, files=files)


def _notes(session: Session, tools: Tools) -> dict[str, bytes]:
    """The release notes: Markdown and HTML in both languages, and JSON."""
    records = tools.data(session.commit) / NOTES
    return side_files(notes_for(session.version, records, tools.matrix(session.commit)))


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
    recorded.write(tools.repository.root, [done], tools.store)
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

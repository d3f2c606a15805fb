"""`wheelmill release`: cut, publish, yank and take back releases of a line."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from wheelmill.cli import Group, described, home, output_options, project
from wheelmill.cli.options import EngineOptions, complete_line, engine_options
from wheelmill.console import Console
from wheelmill.errors import WheelmillError

if TYPE_CHECKING:
    from wheelmill.describe import Described
    from wheelmill.make.build import Workshop
    from wheelmill.make.packages.shop import Shop
    from wheelmill.matrix import Line, Matrix
    from wheelmill.publish.packages import Run
    from wheelmill.publish.release.builder import MadeCell
    from wheelmill.publish.release.conductor import CellPlan, Conductor, Plan, Request
    from wheelmill.publish.release.product import Product
    from wheelmill.publish.release.session import Session, State, Waiver
    from wheelmill.publish.release.sessions import Sessions
    from wheelmill.store import Store

F = TypeVar("F", bound=Callable[..., Any])

__all__ = ["release"]


@dataclasses.dataclass(frozen=True)
class HowOptions:
    """How to work on a session, whichever command does."""

    wait: bool = False
    take_over: bool = False
    url: str | None = None


def how_options(function: F) -> F:
    """--wait, --take-over and --url; the command gets them as one HowOptions named `how`."""

    @click.option("--wait", is_flag=True, help="Wait for another process that works on this line.")
    @click.option("--take-over", is_flag=True, help="Go on with a session that belongs to somebody else.")
    @click.option(
        "--url",
        metavar="URL",
        help="The address of simple/ for users: the release is read back from there, and pages link "
        "attestations by it. [default: a server on loopback]",
    )
    @wraps(function)
    def wrapped(*args: Any, wait: bool, take_over: bool, url: str | None, **rest: Any) -> Any:
        return function(*args, how=HowOptions(wait, take_over, url), **rest)

    return wrapped  # type: ignore[return-value]


@dataclasses.dataclass(frozen=True)
class NewOptions:
    """What a new session is to be."""

    into: Path | None = None
    commit: str | None = None
    waive: tuple[str, ...] = ()
    days: float = 7.0
    signed: bool = True
    emulation: bool = True
    identity: bool = False

    def request(self, branch: str, engine: EngineOptions, promotes: str | None = None) -> Request:
        """As the conductor takes it. Containers unless another engine is named."""
        from wheelmill.publish.release.conductor import Request
        from wheelmill.publish.release.session import Waiver

        into = self.into if self.into is not None else _store_root() / "public"
        said = {
            "into": self.into is not None,
            "commit": self.commit is not None,
            "signed": not self.signed,
            "emulation": not self.emulation,
            "identity": self.identity,
        }
        return Request(
            branch=branch,
            into=into.absolute(),
            engine="docker" if engine.engine == "auto" else engine.engine,
            base=engine.base,
            commit=self.commit,
            waivers=tuple(map(Waiver.parse, self.waive)),
            promotes=promotes,
            signed=self.signed,
            emulation=self.emulation,
            identity=self.identity,
            days=self.days,
            said=frozenset(name for name, given in said.items() if given),
        )


def new_options(function: F) -> F:
    """--into, --commit, --waive, --no-emulation, --days, --unsigned, --identity; the command gets them as one
    NewOptions named `new`."""

    @click.option(
        "--into",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="The public index to publish to. [default: public in the state folder]",
    )
    @click.option(
        "--commit", metavar="REV", help="Release this commit. [default: the line's branch, else HEAD]"
    )
    @click.option(
        "--waive",
        multiple=True,
        metavar="CELL=WHO:REASON",
        help="Release a cell that cannot be smoke-run here, naming who runs it; `*-aarch64` is all of an "
        "architecture.",
    )
    @click.option(
        "--no-emulation", is_flag=True, help="Do not smoke-run the other architecture; it needs a waiver."
    )
    @click.option(
        "--days", type=click.FloatRange(min=0.01), default=7.0, show_default=True, help="When it expires."
    )
    @click.option("--unsigned", is_flag=True, help="Release without signatures; release.json says so.")
    @click.option(
        "--identity",
        is_flag=True,
        help="Attest the wheels with the identity of this CI job, too; docs/verify.md says what that takes.",
    )
    @wraps(function)
    def wrapped(
        *args: Any,
        into: Path | None,
        commit: str | None,
        waive: tuple[str, ...],
        days: float,
        unsigned: bool,
        no_emulation: bool,
        identity: bool,
        **rest: Any,
    ) -> Any:
        new = NewOptions(into, commit, waive, days, not unsigned, not no_emulation, identity)
        return function(*args, new=new, **rest)

    return wrapped  # type: ignore[return-value]


line_argument = click.argument("line", shell_complete=complete_line)
version_option = click.option(
    "--version", metavar="VERSION", help="Which release of the line. [default: the open one, else the newest]"
)
reason_option = click.option("--reason", required=True, metavar="TEXT", help="Why; it is kept and shown.")
dry_run_option = click.option("--dry-run", is_flag=True, help="Show what would be done; change nothing.")


@click.group(cls=Group)
def release() -> None:
    """Cut a release of a LINE, all of it or nothing, and look after it.

    `run` does everything: check, tag, build, stage, verify, seal, publish, read back, announce. Each step is
    recorded when it is done; after a failure or a kill, `resume` goes on from there.
    """


def _store_root() -> Path:
    from wheelmill.store import default_root

    return default_root(home())


def _sessions(console: Console) -> Sessions:
    from wheelmill.publish.release.sessions import Sessions
    from wheelmill.store import Store

    return Sessions(Store(_store_root(), notice=console.warn))


def _conductor(
    console: Console, how: HowOptions = HowOptions(), engine: EngineOptions = EngineOptions()
) -> Conductor:
    """What runs sessions; the workshop is made when something is to be built."""
    from wheelmill.publish.release.conductor import Conductor
    from wheelmill.publish.release.read_back import address
    from wheelmill.publish.release.steps import Tools

    sessions = _sessions(console)
    tools = Tools(
        sessions=sessions,
        product=_product(sessions.store, engine, console),
        note=console.progress,
        read_url=None if how.url is None else address(how.url),
    )
    return Conductor(tools, step=console.step, wait=how.wait, take_over=how.take_over)


def _as_begun(session: Session, engine: EngineOptions) -> EngineOptions:
    """The options of builds: a session keeps its engine. Raises ReleaseError for another one."""
    from wheelmill.publish.release.session import ReleaseError

    if engine.engine not in ("auto", session.engine):
        raise ReleaseError(
            f"{session.name} was begun with the engine {session.engine}, not {engine.engine}",
            hint=f"Leave --engine out, or begin again: wheelmill release abort {session.branch}",
        )
    return dataclasses.replace(engine, engine=session.engine, base=engine.base or session.base)


def _product(store: Store, engine: EngineOptions, console: Console) -> Product:
    """The project of the nearest project file, else the adapter of the checkout."""
    found = described()
    return _adapter(store, engine, console) if found is None else _of_file(found, store, engine, console)


def _of_file(found: Described, store: Store, engine: EngineOptions, console: Console) -> Product:
    from wheelmill.publish.release.described import DescribedProduct
    from wheelmill.publish.release.repository import Repository

    def shops(session: Session, file: Described) -> tuple[Shop, Run]:
        return _as_begun(session, engine).shop(file, console)

    folder = found.root.resolve()
    return DescribedProduct(
        Repository.around(folder),
        store,
        folder,
        found.file.name,
        found.project.package,
        found.torches,
        shops,
        console,
    )


def _adapter(store: Store, engine: EngineOptions, console: Console) -> Product:
    from wheelmill.publish.release.adapter import AdapterProduct
    from wheelmill.publish.release.builder import PipelineBuilder, cannot_run
    from wheelmill.publish.release.repository import Repository

    def workshop(session: Session) -> Workshop:
        return _as_begun(session, engine).workshop(console)

    def build(session: Session, matrix: Matrix, line: Line, tree: Path) -> list[MadeCell]:
        return PipelineBuilder(workshop(session), console)(session, matrix, line, tree)

    return AdapterProduct(
        Repository(project().checkout),
        store,
        build,
        lambda session, line: cannot_run(session, line, workshop(session)),
    )


# ---------------------------------------------------------------------------------------------- the whole way
@release.command()
@line_argument
@new_options
@how_options
@dry_run_option
@engine_options
@output_options
def run(
    line: str, new: NewOptions, how: HowOptions, dry_run: bool, engine: EngineOptions, console: Console
) -> int:
    """Release LINE, from the checks to the announcement.

    A session of the line's version that is open already is gone on with, and takes new waivers. The version
    is the line's `adapter` in the matrix, or that of your project; the engine is docker unless you name
    another.
    """
    conductor = _conductor(console, how, engine)
    request = new.request(line, engine)
    if dry_run:
        return _show_plan(conductor, request, console)
    session = conductor.open_or_new(request)
    return _say(conductor, conductor.advance(session, "announced"), console)


@release.command()
@line_argument
@new_options
@how_options
@dry_run_option
@engine_options
@output_options
def start(
    line: str, new: NewOptions, how: HowOptions, dry_run: bool, engine: EngineOptions, console: Console
) -> int:
    """Begin a release session of LINE; `run` does that and the rest."""
    conductor = _conductor(console, how, engine)
    request = new.request(line, engine)
    if dry_run:
        return _show_plan(conductor, request, console, go_on=False)
    return _say(conductor, conductor.start(request), console)


@release.command()
@click.argument("line", required=False)
@version_option
@how_options
@engine_options
@output_options
def resume(
    line: str | None, version: str | None, how: HowOptions, engine: EngineOptions, console: Console
) -> int:
    """Go on with LINE from the last step that was recorded; without LINE, with every open session.

    A yank or rollback that was killed before the index showed it is finished, too. A damaged index is made
    whole, and signed again where its keys changed or its signatures end soon.
    """
    from wheelmill.publish.release.session import ReleaseError

    conductor = _conductor(console, how, engine)
    sessions = conductor.tools.sessions
    if line is not None:
        wanted = [sessions.current(line, version)]
        if wanted[0].canceled is not None:
            told = sessions.next_command(wanted[0])
            raise ReleaseError(f"{wanted[0].name} was canceled", hint=f"Begin another: {told}")
    else:
        wanted = [session for session in sessions.all() if session.is_open]
    done = [conductor.advance(one, "announced") if one.withdrawn is None else one for one in wanted]
    indexes = dict.fromkeys(session.into for session in sessions.all())
    shown = [index for into in indexes if (index := conductor.repair(Path(into))) is not None]
    console.result(
        {
            "schema": 1,
            "sessions": [_json(conductor, one) for one in done],
            "indexes": [index.to_json() for index in shown],
        }
    )
    for one in done:
        console.say(_line(conductor, one))
    for index in shown:
        said = "made whole and signed again" if index.changed else "whole, and signed for some time"
        console.say(f"index {index.path}: {said}")
    if not done:
        console.say("no release session is open")
    return 0


# ----------------------------------------------------------------------------------------------- step by step
def _step(name: str, states: tuple[State, ...], text: str, *, builds: bool = False) -> None:
    """A command that runs the steps to these states, where those before them were done."""

    def command(
        line: str,
        version: str | None,
        how: HowOptions,
        console: Console,
        engine: EngineOptions = EngineOptions(),
    ) -> int:
        conductor = _conductor(console, how, engine)
        session = conductor.only(conductor.tools.sessions.current(line, version), states)
        return _say(conductor, session, console)

    command.__doc__ = text
    wrapped = how_options(output_options(engine_options(command) if builds else command))
    release.command(name)(line_argument(version_option(wrapped)))


_step("check", ("checked",), "Run every check on LINE's session, and tell all findings together.")
_step(
    "build",
    ("tagged", "built"),
    "Make branch and tag, build every cell from the tag, audit and smoke-run it.",
    builds=True,
)
_step("stage", ("staged",), "Lay LINE's wheels out in an index of their own, for pip and uv.")
_step("verify", ("verified",), "Have pip and uv take every cell's wheels from the stage.")
_step("seal", ("sealed",), "Write the release folder with its sums; no file may change from then on.")
_step(
    "publish",
    ("published", "announced"),
    "Show the release in the public index by one rename, read it back, announce it.",
)


# ------------------------------------------------------------------------------------------- looking after it
@release.command()
@click.argument("line", required=False)
@version_option
@output_options
def status(line: str | None, version: str | None, console: Console) -> int:
    """Show the sessions, of all lines or of LINE, and what to do next."""
    conductor = _conductor(console)
    sessions = conductor.tools.sessions
    found = sessions.all() if line is None else [sessions.current(line, version)]
    console.result({"schema": 1, "sessions": [_json(conductor, session) for session in found]})
    if line is not None:
        _detail(conductor, found[0], console)
    elif found:
        rows = [
            (one.name, one.shown_state, _since(one), one.owner, _next(sessions, one) or "") for one in found
        ]
        whole = ("release", "state", "since")
        console.table(("release", "state", "since", "owner", "next"), rows, whole=whole)
    else:
        console.say("there is no release session yet; begin one: wheelmill release start LINE")
    return 0


@release.command()
@line_argument
@version_option
@click.option("--reason", default="not given", metavar="TEXT", help="Why; it is kept.")
@how_options
@output_options
def abort(line: str, version: str | None, reason: str, how: HowOptions, console: Console) -> int:
    """Cancel LINE's session: its stage, worktree and tag go, what was built stays in the store."""
    conductor = _conductor(console, how)
    session = conductor.abort(conductor.tools.sessions.current(line, version), reason)
    return _say(conductor, session, console)


@release.command()
@line_argument
@version_option
@click.option("--days", type=click.FloatRange(min=0.01), default=7.0, show_default=True, help="From now on.")
@click.option(
    "--waive", multiple=True, metavar="CELL=WHO:REASON", help="Add a waiver, while cells are not built yet."
)
@how_options
@output_options
def extend(
    line: str, version: str | None, days: float, waive: tuple[str, ...], how: HowOptions, console: Console
) -> int:
    """Give LINE's session more time, or waive a smoke run that nobody can do here."""
    from wheelmill.publish.release.session import Waiver

    conductor = _conductor(console, how)
    given = tuple(map(Waiver.parse, waive))
    session = conductor.extend(conductor.tools.sessions.current(line, version), days, given)
    return _say(conductor, session, console)


@release.command()
@line_argument
@version_option
@reason_option
@how_options
@output_options
def yank(line: str, version: str | None, reason: str, how: HowOptions, console: Console) -> int:
    """Mark a public release: installers take it only where it is pinned (PEP 592)."""
    conductor = _conductor(console, how)
    return _say(conductor, conductor.yank(_public(conductor, line, version), reason), console)


@release.command()
@line_argument
@version_option
@how_options
@output_options
def unyank(line: str, version: str | None, how: HowOptions, console: Console) -> int:
    """Take the mark of a yank away."""
    conductor = _conductor(console, how)
    return _say(conductor, conductor.unyank(_public(conductor, line, version)), console)


@release.command()
@line_argument
@version_option
@reason_option
@how_options
@output_options
def rollback(line: str, version: str | None, reason: str, how: HowOptions, console: Console) -> int:
    """Take the newest release of an index out of it; its file names stay taken.

    It is sealed again then: publish it later as it is, or abort it.
    """
    conductor = _conductor(console, how)
    return _say(conductor, conductor.rollback(_public(conductor, line, version), reason), console)


@release.command()
@line_argument
@new_options
@how_options
@dry_run_option
@engine_options
@output_options
def promote(
    line: str, new: NewOptions, how: HowOptions, dry_run: bool, engine: EngineOptions, console: Console
) -> int:
    """Release the final version of LINE after its release candidate.

    The matrix must name the final version. Everything is built again, from sources that have not changed
    since the candidate: a candidate's file under another name is refused.
    """
    conductor = _conductor(console, how, engine)
    request = new.request(line, engine, promotes=conductor.candidate(line))
    if dry_run:
        return _show_plan(conductor, request, console)
    session = conductor.open_or_new(request)
    return _say(conductor, conductor.advance(session, "announced"), console)


@release.command()
@line_argument
@click.option("--from", "upstream", default="main", show_default=True, metavar="BRANCH", help="Compare with.")
@click.option("--all", "everything", is_flag=True, help="List every change, not only fixes.")
@output_options
def cherry(line: str, upstream: str, everything: bool, console: Console) -> int:
    """List the fixes on main that LINE's branch lacks, newest first.

    A fix counts as there when the same patch is, or when `git cherry-pick -x` named it. Only commits that
    change what wheels are made from are looked at.
    """
    from wheelmill.publish.release.repository import Repository

    if (file := described()) is not None:
        raise WheelmillError(f"Lines of {file.file} are no branches: there is nothing to compare.")
    branch = project().matrix().line(line).branch
    missing = Repository(project().checkout).missing(branch, upstream)
    shown = [one for one in missing if one.fix or everything]
    console.result({"schema": 1, "branch": branch, "from": upstream, "missing": [vars(one) for one in shown]})
    if shown:
        rows = [(one.commit[:12], one.date, "fix" if one.fix else "change", one.subject) for one in shown]
        console.table(("commit", "date", "kind", "subject"), rows, whole=("commit", "date", "kind"))
        console.say(f"pick them: git switch {branch} && git cherry-pick -x COMMIT...")
    else:
        console.say(f"{branch} has every {'change' if everything else 'fix'} of {upstream}")
    if len(shown) < len(missing):
        console.say(f"{len(missing) - len(shown)} other changes, which may be fixes by another word: --all")
    return 0


# ----------------------------------------------------------------------------------------------- what is said
def _public(conductor: Conductor, line: str, version: str | None) -> Session:
    """The release that is meant: the newest public one, where no version is given."""
    sessions = conductor.tools.sessions
    if version is None:
        for session in reversed(sessions.of_branch(line)):
            if session.is_public:
                return session
    return sessions.current(line, version)


def _json(conductor: Conductor, session: Session) -> dict[str, Any]:
    sessions = conductor.tools.sessions
    holder = sessions.at_work(session.branch)
    return {
        **session.to_json(),
        "shown_state": session.shown_state,
        "next": sessions.next_command(session),
        "at_work": None if holder is None else holder.to_json(),
    }


def _next(sessions: Sessions, session: Session) -> str | None:
    """What to type next; nothing while somebody is at work on it."""
    holder = sessions.at_work(session.branch) if session.is_open else None
    return sessions.next_command(session) if holder is None else f"wait: {holder} is at work"


def _say(conductor: Conductor, session: Session, console: Console) -> int:
    console.result(_json(conductor, session))
    console.say(_line(conductor, session))
    return 0


def _line(conductor: Conductor, session: Session) -> str:
    told = _next(conductor.tools.sessions, session)
    lines = [f"{session.name}  {session.shown_state}"]
    if session.has("sealed"):
        lines.append(f"  files  {session.facts['sealed']['folder']}")
    if session.is_public:
        lines.append(f"  index  {session.into}  (wheelmill serve --index {session.into})")
    if session.state == "announced":
        record = conductor.tools.product.record
        lines.append(f"  record {record}: commit it, so that users pick the release and its names stay taken")
    if told is not None:
        lines.append(f"  next   {told}")
    return "\n".join(lines)


def _since(session: Session) -> str:
    for event in (session.canceled, session.withdrawn, session.yanked):
        if event is not None:
            return event.at
    return session.reached[session.state]


def _detail(conductor: Conductor, session: Session, console: Console) -> None:
    from wheelmill.publish.release.session import STATES
    from wheelmill.publish.release.steps import stage_folder

    console.say(f"{_line(conductor, session)}\n")
    console.table(
        ("step", "done"), [(state, session.reached.get(state, "-")) for state in STATES], whole=("step",)
    )
    console.say(f"\ncommit  {session.commit}\nowner   {session.owner}, until {session.expires}")
    console.say(f"at work {conductor.tools.sessions.at_work(session.branch) or 'nobody'}")
    out = stage_folder(session, conductor.tools.store)
    if out.is_symlink():
        console.say(f"stage   {out}  (wheelmill serve --index {out})")
    for waiver in session.waivers:
        console.say(
            f"waived  {waiver.cells}: {waiver.who} runs it ({waiver.reason}){_unused(waiver, session)}"
        )
    for what in ("canceled", "withdrawn", "yanked"):
        event = getattr(session, what)
        if event is not None:
            console.say(f"{what}  {event.at} by {event.who}: {event.reason}")
    if session.failure is not None:
        failure = session.failure
        console.say(f"\n{failure.state} failed at {failure.at}: {failure.message}")
        if failure.hint:
            console.say(f"  {failure.hint}")


def _unused(waiver: Waiver, session: Session) -> str:
    """What to add of a waiver once it is known that all of its cells were run."""
    if not session.has("built"):
        return ""
    cells = session.facts["built"]["cells"].items()
    used = any(waiver.covers(key) for key, cell in cells if cell["smoke"] is None)
    return "" if used else "; not needed, every such cell was run here"


def _show_plan(conductor: Conductor, request: Request, console: Console, *, go_on: bool = True) -> int:
    from wheelmill.publish.release.conductor import plan

    made = plan(conductor, request, go_on=go_on)
    console.result(made.to_json())
    console.say(_plan_text(made))
    return 1 if made.problems else 0


def _plan_text(made: Plan) -> str:
    from wheelmill.publish.release.conductor import TITLES

    session = made.session
    stage = "" if made.stage is None else f", stage {made.stage}"  # a project without a policy has none
    lines = [f"{session.name} of commit {session.commit[:12]}{stage}"]
    if made.waiver is not None:
        lines.append(
            f"by a waiver of {made.waiver['rule']} until {made.waiver['until']}: {made.waiver['reason']}"
        )
    if made.begun:
        since = f"{session.state} since {_since(session)}"
        lines.append(f"its session is {since}, of {session.owner} until {session.expires}; what is left:")
    lines += [f"  {TITLES[state].format(name=session.name)}" for state in made.steps if state in TITLES]
    lines.append(f"engine {session.engine}, into {session.into}")
    lines += [f"  {cell.key}  {_smoke_text(cell)}" for cell in made.cells]
    lines += [f"warning: {doubt}" for doubt in made.doubts]
    lines += [f"problem: {problem}" for problem in made.problems]
    return "\n".join(lines)


def _smoke_text(cell: CellPlan) -> str:
    if cell.not_run is None:
        return "smoke run here"
    if cell.waiver is None:
        return "no smoke run here"
    return f"smoke run waived: {cell.waiver.who}"

"""Options that several commands share: which cells to build, and the engine and limits to build them with."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click

from wheelmill.cli import adapter_only, described, project
from wheelmill.console import Console
from wheelmill.errors import WheelmillError
from wheelmill.project import find_project

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from wheelmill.describe import Cell as FileCell
    from wheelmill.describe import Described
    from wheelmill.limits import Limits
    from wheelmill.make.build import Workshop
    from wheelmill.make.cluster.engine import ClusterEngine
    from wheelmill.make.engines import Engine
    from wheelmill.make.engines.builder import Options
    from wheelmill.make.images import ImageShop
    from wheelmill.make.packages.compilers import Place
    from wheelmill.make.packages.shop import Shop
    from wheelmill.matrix import Cell, Matrix
    from wheelmill.publish.packages import Run
    from wheelmill.store import Store

F = TypeVar("F", bound=Callable[..., Any])
OWN_ENGINES = ("host", "docker")
ENGINES = ("auto", *OWN_ENGINES, "cibuildwheel")
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


class Size(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """Bytes, with K, M, G or T as powers of 1024: `8G`."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number of bytes; fails for any other text."""
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]?)(?:i?B)?", str(value).strip(), re.IGNORECASE)
        if found is None:
            self.fail(f"{value!r} is not a size; write one such as 8G or 512M", param, ctx)
        return int(float(found[1]) * _UNITS[found[2].upper()])


# ----------------------------------------------------------------------------------------------------- cells
@dataclass(frozen=True)
class CellOptions:
    """Which cells were named: PYTHON-ARCH or BRANCH/PYTHON/ARCH, on a line or torch, or all."""

    names: tuple[str, ...] = ()
    line: str | None = None
    torch: str | None = None
    everything: bool = False

    def __bool__(self) -> bool:
        """Whether anything was named."""
        return bool(self.names or self.line or self.torch or self.everything)

    def cells(self, matrix: Matrix) -> tuple[Cell, ...]:
        """The cells that the options name; raises WheelmillError saying what exists."""
        if self.names:
            return tuple(self._cell(name, matrix) for name in self.names)
        if self.line is not None:
            return matrix.buildable_line(self.line).cells()
        if self.torch is not None:
            return _cells_on(self.torch, matrix)
        if self.everything:
            return matrix.cells()
        raise click.UsageError("Name a cell such as 3.11-x86_64, or a --line, or a --torch, or --all.")

    def of_file(self, found: Described) -> tuple[FileCell, ...]:
        """The same of a project file; raises CellError saying what exists."""
        from wheelmill.describe import select

        if not self:
            raise click.UsageError(
                f"Name a cell such as {found.cells[0].name}, or a --line, or a --torch, or --all."
            )
        return select(found.project, self.names, self.line, self.torch)

    def _cell(self, name: str, matrix: Matrix) -> Cell:
        if name.count("/") < 2:
            return matrix.cell(*_axes(name, name), line=self.line, torch=self.torch)
        branch, python, arch = name.rsplit("/", 2)
        return matrix.cell(*_axes(f"{python}-{arch}", name), line=branch, torch=self.torch)


def _axes(text: str, name: str) -> tuple[str, str]:
    from wheelmill.matrix.versions import arch_name, python_name

    python, _, arch = text.partition("-")
    try:
        return python_name(python), arch_name(arch)
    except ValueError as error:
        raise WheelmillError(
            f"{name!r} is not a cell: {error}.",
            hint="A cell is a Python and an architecture, such as 3.8-aarch64; with its line "
            "v2.1.0-5.0.rc3/3.8/aarch64.",
        ) from None


def _cells_on(torch: str, matrix: Matrix) -> tuple[Cell, ...]:
    """All cells of the newest line with this torch."""
    newest = next((cell.line for cell in matrix.cells() if cell.line.torch.version == torch), None)
    if newest is None:
        for record in matrix.lines:  # what is known of this torch is a better answer than what else there is
            if record.torch.version == torch:
                matrix.buildable_line(record.branch)
        from wheelmill.matrix.near import few_of

        known = [*dict.fromkeys(cell.line.torch.version for cell in matrix.cells())]
        near = few_of(torch, known, "wheelmill matrix lines")
        raise WheelmillError(f"No line is on torch {torch}.", hint=f"There are lines on torch {near}")
    return newest.cells()


def own_cell(matrix: Matrix, torch: str | None = None, python: str | None = None) -> Cell:
    """The cell of the Python (else of the one that runs this) on this machine, on the newest line (with that
    torch)."""
    running = f"{sys.version_info.major}.{sys.version_info.minor}"
    return matrix.cell(python or running, platform.machine(), torch=torch)


def _completer(
    values: Callable[[Matrix], Sequence[str]], of_file: Callable[[Described], Sequence[str]]
) -> Callable[..., list[CompletionItem]]:
    """Completion of a word from the matrix, or from a project file; silent where there is none."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        try:
            with ctx.find_root().scope(cleanup=False):
                found = described()
            matrix = find_project(ctx.find_root().params.get("matrix_file")).matrix()
        except WheelmillError:
            return []
        known = dict.fromkeys(values(matrix) if found is None else of_file(found))
        return [CompletionItem(value) for value in known if value.startswith(incomplete)]

    return complete


def _names(of: Matrix) -> list[str]:
    return [name for cell in of.cells() for name in (cell.name, cell.key)]


def _file_names(of: Described) -> list[str]:
    return [name for cell in of.cells for name in (cell.name, cell.key)]


def _file_torches(of: Described) -> list[str]:
    return [torch.version for cell in of.cells if (torch := of.torch(cell)) is not None]


complete_line = _completer(
    lambda matrix: [cell.line.branch for cell in matrix.cells()],
    lambda found: [line.name for line in found.project.lines],
)


def cell_options(function: F) -> F:
    """CELL..., --line, --torch and --all; the command gets them as one CellOptions named `wanted`."""

    @click.argument(
        "names",
        nargs=-1,
        metavar="[PYTHON-ARCH | BRANCH/PYTHON/ARCH]...",
        shell_complete=_completer(_names, _file_names),
    )
    @click.option(
        "--line",
        metavar="BRANCH",
        help="Use this release line; without cells, all of its cells.",
        shell_complete=complete_line,
    )
    @click.option(
        "--torch",
        metavar="VERSION",
        help="Use the newest line with this torch; without cells, all of its cells.",
        shell_complete=_completer(
            lambda matrix: [cell.line.torch.version for cell in matrix.cells()], _file_torches
        ),
    )
    @click.option("--all", "everything", is_flag=True, help="All cells that can be built.")
    @wraps(function)
    def wrapped(
        *args: Any, names: tuple[str, ...], line: str | None, torch: str | None, everything: bool, **rest: Any
    ) -> Any:
        return function(*args, wanted=CellOptions(names, line, torch, everything), **rest)

    return wrapped  # type: ignore[return-value]


# --------------------------------------------------------------------------------------------------- engines
def scheduler(address: str) -> str:
    """A scheduler's address as Dask writes it; `dask://` is what people write. Raises UsageError."""
    found = re.fullmatch(r"(?:dask|tcp|tls)://[^\s/]+:[0-9]{1,5}", address)
    if found is None:
        raise click.UsageError(
            f"{address!r} is no scheduler: write dask://HOST:PORT, such as dask://10.0.0.1:8786."
        )
    return address.replace("dask://", "tcp://", 1)


@dataclass(frozen=True)
class EngineOptions:
    """What builds, within what; `memory` in bytes."""

    engine: str = "auto"
    jobs: int | None = None
    cpus: float | None = None
    memory: int | None = None
    base: str | None = None
    keep: bool = False
    shell: bool = False
    remote: str | None = None
    on: str | None = None

    def candidates(self) -> tuple[EngineOptions, ...]:
        """For `auto`, the options of each engine, those of containers only where they mean something."""
        if self.engine != "auto":
            return (self,)
        host = EngineOptions("host", self.jobs, self.cpus, self.memory, remote=self.remote)
        return (host, *(replace(self, engine=name) for name in OWN_ENGINES if name != "host"))

    def workshop(self, console: Console, *, anywhere: bool = False) -> Workshop:
        """What the project builds with. `anywhere`: also beside a project file, for whoever asks.

        Raises WheelmillError for options that do not go together.
        """
        from wheelmill.make.build import Workshop
        from wheelmill.store import Store, default_root

        if not anywhere:
            adapter_only(click.get_current_context().info_name or "")
        here = project()
        matrix = here.matrix()
        store = Store(default_root(here.checkout), notice=console.warn, remote=self.remote)
        return Workshop(
            store=store,
            engine=self.make(store, matrix, console),
            sources=here.checkout,
            lines=matrix.lines,
            torch_cpu_index=matrix.document.torch_cpu_index,
            progress=console.progress,
            note=partial(console.note, always=True),
            jobs=self.jobs,
            at_once=1 if self.shell else None,  # a second build would talk into the shell of the first
        )

    def shop(self, found: Described, console: Console) -> tuple[Shop, Run]:
        """What a described project builds with, and how its wheels are run.

        Raises WheelmillError for options that only the adapter's builds have.
        """
        from wheelmill.make.packages.shop import Shop
        from wheelmill.publish.packages import Run
        from wheelmill.store import Store, default_root

        self._refuse_foreign(found)
        store = Store(default_root(found.beside), notice=console.warn, remote=self.remote)
        store.hide()
        matrix = project().quick_matrix()
        elsewhere = None
        if self.on is not None:
            from wheelmill.make.cluster.packages import OnCluster

            elsewhere = OnCluster(self._cluster(store, console))
        shop = Shop(
            found,
            store,
            self.place(store, matrix, console),
            note=partial(console.note, always=True),
            progress=console.progress,
            jobs=self.jobs or os.cpu_count() or 1,
            elsewhere=elsewhere,
        )
        return shop, Run(self.engine == "docker", torch_cpu_index=matrix.document.torch_cpu_index)

    def place(self, store: Store, matrix: Matrix, console: Console) -> Place:
        """Where packages of described projects are compiled."""
        from wheelmill.make.packages.compilers import InContainer, OnHost

        if self.engine != "docker":
            return OnHost(store.root / "ccache")
        shop, options = self._containers(store, matrix, console, None)
        return InContainer(shop, options.base)

    def _refuse_foreign(self, found: Described) -> None:
        given = {"--keep": self.keep, "--shell": self.shell, "--cpus": self.cpus}
        given |= {"--memory": self.memory, "--engine cibuildwheel": self.engine == "cibuildwheel"}
        for option, value in given.items():
            if value:
                raise click.UsageError(f"{option} is not for a project with a file of its own, {found.file}.")
        if self.base and self.engine != "docker":
            raise click.UsageError("--base is for containers: add --engine docker.")
        if found.project.build.how == "bundle":
            raise WheelmillError(
                f"{found.file}: wheels by a bundle are made in the checkout of the adapter alone.",
                hint='Write how = "pep517"; with shared = ["python"] one build serves all Pythons.',
            )

    def make(self, store: Store, matrix: Matrix, console: Console) -> Engine:
        """The engine, with its state in `store`."""
        from wheelmill.limits import Limits

        if self.on is not None:
            return self._cluster(store, console)
        limited = self.cpus is not None or self.memory is not None
        limits = Limits.of_machine(self.cpus, self.memory) if limited else None
        if self.engine == "docker":
            from wheelmill.make.engines.docker import DockerEngine

            return DockerEngine(*self._containers(store, matrix, console, limits))
        for option, given in (("--keep", self.keep), ("--shell", self.shell)):
            if given:
                raise click.UsageError(
                    f"{option} applies to the docker engine's containers: add --engine docker."
                )
        if self.engine == "cibuildwheel":
            from wheelmill.make.engines.cibuildwheel import CibuildwheelEngine

            return CibuildwheelEngine(*self._containers(store, matrix, console, limits))
        from wheelmill.make.engines.host import HostEngine

        if self.base:
            raise click.UsageError("--base is for containers: add --engine docker.")
        host = HostEngine(store.root / "tools", limits)
        if self.engine == "host":
            return host
        from wheelmill.make.engines.auto import AutoEngine

        def container() -> Engine:
            from wheelmill.make.engines.docker import DockerEngine

            return DockerEngine(*self._containers(store, matrix, console, limits))

        return AutoEngine(host, container, console.note)

    def _cluster(self, store: Store, console: Console) -> ClusterEngine:
        """The workers of a cluster; what decides how they compile is said to them."""
        from wheelmill.make.cluster.engine import ClusterEngine

        given: dict[str, object] = {
            "--engine": self.engine != "auto",
            "--base": self.base,
            "--keep": self.keep,
        }
        given |= {"--shell": self.shell, "--cpus": self.cpus, "--memory": self.memory, "--jobs": self.jobs}
        for option, value in given.items():
            if value:
                raise click.UsageError(
                    f"{option} is for `wheelmill worker`: with --on, other machines compile."
                )
        costs = {
            str(record.data["name"]): sum(record.data["seconds"].values())
            for record in store.records("bundle")
            if isinstance(record.data.get("seconds"), dict) and "name" in record.data
        }
        return ClusterEngine(scheduler(str(self.on)), partial(console.note, always=True), costs)

    def _containers(
        self, store: Store, matrix: Matrix, console: Console, limits: Limits | None
    ) -> tuple[ImageShop, Options]:
        """What both engines of containers are made of."""
        from wheelmill.make.engines.builder import Options
        from wheelmill.make.images import ImageShop

        shop = ImageShop(store.root, matrix.digest, progress=console.progress, note=console.note)
        return shop, Options(self.base, limits, self.keep, self.shell)


_engine_option = click.option(
    "--engine",
    "name",
    type=click.Choice(ENGINES),
    default="auto",
    envvar="WHEELMILL_ENGINE",
    show_default=True,
    show_envvar=True,
    help="Where to compile. auto: on this machine if possible, else in a container.",
)
_base_option = click.option(
    "--base",
    metavar="IMAGE",
    help="docker: use a builder image on this base; `debian` makes one from this machine's Debian mirror. "
    "[default: the newest builder image, else the pinned manylinux image, else debian]",
)

_on_option = click.option(
    "--on",
    metavar="dask://HOST:PORT",
    envvar="WHEELMILL_ON",
    show_envvar=True,
    help="Compile on the workers of this Dask scheduler; see `wheelmill worker`.",
)
_remote_option = click.option(
    "--remote",
    metavar="URL",
    envvar="WHEELMILL_REMOTE",
    show_envvar=True,
    help="Share native files with other machines at this URL: a folder, s3://BUCKET/PREFIX, sftp://HOST/PATH.",
)


def plan_engine_options(function: F) -> F:
    """--engine and --base, which decide the keys of a plan; the command gets them as one EngineOptions."""

    @_engine_option
    @_base_option
    @_remote_option
    @wraps(function)
    def wrapped(*args: Any, name: str, base: str | None, remote: str | None, **rest: Any) -> Any:
        return function(*args, engine=EngineOptions(name, base=base, remote=remote), **rest)

    return wrapped  # type: ignore[return-value]


def engine_options(function: F) -> F:
    """--engine and its options; the command gets them as one EngineOptions named `engine`."""

    @_engine_option
    @click.option(
        "-j", "--jobs", type=click.IntRange(min=1), help="How many compilers run at once, over all bundles."
    )
    @click.option(
        "--cpus",
        type=click.FloatRange(min=0.1),
        metavar="NUMBER",
        help="CPUs that builds may use; containers are limited to them. [default: all]",
    )
    @click.option(
        "--memory",
        type=Size(),
        metavar="SIZE",
        help="Memory that builds may use, such as 8G. Each compiler counts as 1.5G; containers are "
        "limited to it. [default: what is available]",
    )
    @_base_option
    @click.option("--keep", is_flag=True, help="docker: keep the container of a failed build.")
    @click.option("--shell", is_flag=True, help="docker: open a shell in the container of a failed build.")
    @_remote_option
    @_on_option
    @wraps(function)
    def wrapped(
        *args: Any,
        name: str,
        jobs: int | None,
        cpus: float | None,
        memory: int | None,
        base: str | None,
        keep: bool,
        shell: bool,
        remote: str | None,
        on: str | None,
        **rest: Any,
    ) -> Any:
        options = EngineOptions(name, jobs, cpus, memory, base, keep, shell, remote, on)
        return function(*args, engine=options, **rest)

    return wrapped  # type: ignore[return-value]

"""Measure against peers and write bench/RESULTS.md: `nox -s bench`, or `nox -s bench -- SECTION...`.

Every figure is a ratio to something measured in the same run on the same machine; where the peer cannot run
here, its published figure is named as foreign. Sections that are not asked for stay as an earlier run wrote
them.

    host     start-up, lint, dispatch, all_reduce: minutes
    index    30,000 and 100,000 wheels in a static index, beside dumb-pypi and simple503: a quarter of an hour
    native   the native part of a release line in containers, and under emulation: the better part of an hour
    imports  what the imports inside functions spare a command that starts: half a minute
    sign     signing and verifying 500 wheels: a minute
    pick     an answer of the picker, as a process and on a matrix 1,000 times as large: a minute
    programs whole programs of a published torch_npu on the simulator: a minute
    adapter  this adapter beside the published one, on the same simulator: ten minutes
    accept   the checks of its acceptance: some minutes
    generations  native builds with one for several torches: a minute, and a build if there is none
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "release")]

from wheelmill import catalogue, limits  # noqa: E402
from wheelmill.cli.options import own_cell  # noqa: E402
from wheelmill.console import Console  # noqa: E402
from wheelmill.make.build import Workshop  # noqa: E402
from wheelmill.make.engines.host import HostEngine  # noqa: E402
from wheelmill.make.images import ImageShop  # noqa: E402
from wheelmill.matrix import load  # noqa: E402
from wheelmill.prove.abi.kept import Shelf  # noqa: E402
from wheelmill.publish.pipeline import run, run_smoke  # noqa: E402
from wheelmill.store import Store, default_root  # noqa: E402

from bench import (  # noqa: E402
    adapters,
    bench_lint,
    bench_pick,
    generations,
    hccl,
    imports,
    native,
    sign,
    simulated,
    static_index,
)

INDEXED, MANY = 30_000, 100_000  # wheels
Row = tuple[str, str, str, str]  # what, ours, peer, ratio


def best(command: list[str], times: int = 5) -> float:
    """Wall seconds of the fastest of some runs."""
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        subprocess.run(
            command, cwd=ROOT, check=True, capture_output=True, env={**os.environ, "PYTHONPATH": "release"}
        )
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def row(what: str, ours: float, peer: float, unit: str, peer_name: str) -> Row:
    """One line of the table; the ratio is ours over the peer's."""
    return what, f"{ours:.3g} {unit}", f"{peer:.3g} {unit} ({peer_name})", f"{ours / peer:.3g}"


def start_up() -> list[Row]:
    """What listing sessions and finding nothing to do cost beside nox's own start."""
    with tempfile.TemporaryDirectory() as folder:
        nox = best([sys.executable, "-m", "nox", "-f", str(_empty_noxfile(folder)), "-l"])
    listing = best([sys.executable, "-m", "nox", "-l"])
    cell = own_cell(load(ROOT / "matrix" / "compat.yaml"))
    known = best([sys.executable, "-m", "wheelmill", "build", cell.name, "-q"])
    return [
        row("`nox -l` with the whole matrix", listing, nox, "s", "`nox -l` of an empty noxfile"),
        row("`wheelmill build` of a known cell", known, nox, "s", "`nox -l` of an empty noxfile"),
    ]


def _empty_noxfile(folder: str) -> Path:
    empty = Path(folder, "noxfile.py")
    empty.write_text("import nox\n\n@nox.session\ndef nothing(session):\n    pass\n", encoding="utf-8")
    return empty


def lint() -> list[Row]:
    """The matrix and a generated one of 6,000 rows."""
    today, _ = bench_lint.seconds(ROOT / "matrix" / "compat.yaml")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "compat.yaml")
        path.write_text(bench_lint.generate(6000), encoding="utf-8")
        many, _ = bench_lint.seconds(path)
    foreign = "openstack/releases, 6,026 files, measured elsewhere"
    return [
        row("lint of today's matrix", today, bench_lint.OPENSTACK_SECONDS, "s", foreign),
        row("lint of 6,000 generated rows", many, bench_lint.OPENSTACK_SECONDS, "s", foreign),
    ]


def dispatch(workshop: Workshop) -> list[Row]:
    """Host cost per call on the simulated NPU against CPU tensors."""
    cell = own_cell(load(ROOT / "matrix" / "compat.yaml"))
    home = run_smoke(cell, workshop, keep=True).environment
    assert home is not None
    command = [
        home / "env/bin/cann-simulator",
        "run",
        "--",
        home / "env/bin/python",
        ROOT / "bench/dispatch.py",
    ]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout)
    return [row(name, npu, cpu, "us", "CPU tensor") for name, (npu, cpu) in found.items()]


def all_reduce(workshop: Workshop) -> list[Row]:
    """Two ranks on the simulator's libhccl against gloo."""
    home = run_smoke(own_cell(load(ROOT / "matrix" / "compat.yaml")), workshop, keep=True).environment
    assert home is not None
    libraries = next(home.glob("env/lib/python*/site-packages/cann_simulator/lib"))
    found = hccl.seconds(home / "env/bin/python", libraries)
    what = "all_reduce, 64 MB float32, 2 ranks"
    return [row(what, found["hccl"] * 1e3, found["gloo"] * 1e3, "ms", "gloo, CPU tensors")]


def native_part(workshop: Workshop) -> list[Row]:
    """The other architecture's wheels of one line, in containers."""
    matrix = load(ROOT / "matrix" / "compat.yaml")
    shop = ImageShop(workshop.store.root, matrix.digest)
    found = native.measure(matrix, workshop, shop, lambda text: print(text, file=sys.stderr, flush=True))
    pythons = f"{found.pythons} Pythons"
    what = f"wheels of {pythons} of {native.LINE} for {found.arch}, from nothing"
    peer = f"cibuildwheel {version('cibuildwheel')} under emulation"
    with tempfile.TemporaryDirectory() as folder:
        nox = best([sys.executable, "-m", "nox", "-f", str(_empty_noxfile(folder)), "-l"])
    return [
        *(
            row(what, found.line, sum(found.peer[:count]), "s", f"{peer}, {count} of the {pythons}")
            for count in range(1, len(found.peer) + 1)
        ),
        row(f"wheels of {pythons}", found.line, found.native, "s", "their native part alone, same build"),
        row(f"nothing changed: {pythons}", found.again, nox, "s", "`nox -l` of an empty noxfile"),
        row(
            "memory of the largest compiler",
            found.peak / 2**30,
            limits.BYTES_PER_COMPILER / 2**30,
            "GiB",
            "planned for one",
        ),
    ]


def signing() -> list[Row]:
    """What a release of many wheels costs its signers and its users, beside hashing it."""
    found, rows = sign.measure(), []
    for what, ours in (
        (f"sign {sign.WHEELS} wheels: SBOM, provenance, sums", found.sign),
        (f"verify {sign.WHEELS} wheels, whole", found.verify),
        (f"validate {sign.WHEELS} wheels' SBOMs, which their audit does", found.schema),
    ):
        peer = "`sha256sum` of the wheels"
        rows.append(row(what, ours.wall, found.hashing.wall, "s", peer))
        rows.append(row("the same, CPU", ours.cpu, found.hashing.cpu, "s", peer))
    return rows


def import_part() -> list[Row]:
    """A command's start with each import at its top that stands in a function, dearest first."""
    places, found = imports.lazy(), imports.measure(("wheelmill.cli", "wheelmill.cli.pick"))
    dearest = sorted(found, key=lambda name: found[name][0], reverse=True)
    return [
        row(
            f"`{name}` at the top, of {len(places[name])} places",
            *found[name],
            "s",
            "start of `wheelmill pick`",
        )
        for name in dearest
    ]


def picking() -> list[Row]:
    """An answer of the picker; the slowest kind of question counts."""
    found = bench_pick.measure(say=lambda line: print(line, file=sys.stderr, flush=True))
    ours, large = found.processes["wheelmill pick"], f"an answer among {found.offers:,} offers, CPU"
    rows = []
    for name in ("python -c pass", "import click"):
        peer = found.processes[name]
        rows.append(
            row("`wheelmill pick`, the whole process", ours.wall * 1e3, peer.wall * 1e3, "ms", f"`{name}`")
        )
        fastest = f"the same, the fastest of {bench_pick.PROCESSES}"
        rows.append(row(fastest, ours.fastest * 1e3, peer.fastest * 1e3, "ms", f"`{name}`"))
        rows.append(row("the same, CPU", ours.cpu * 1e3, peer.cpu * 1e3, "ms", f"`{name}`"))
    start = found.processes["python -c pass"].cpu
    return [
        *rows,
        row(
            "an answer inside, today's matrix, CPU", found.answer * 1e3, start * 1e3, "ms", "`python -c pass`"
        ),
        row(large, found.large * 1e3, found.answer * 1e3, "ms", "today's matrix"),
    ]


def simulated_programs(environment: Path) -> list[Row]:
    """Programs of a published adapter beside the same on CPU tensors."""
    found = simulated.measure(environment)
    rows = []
    for what, (npu, cpu) in found.timed.items():
        rows.append(row(what, npu[0] * 1e3, cpu[0] * 1e3, "ms", "CPU tensors"))
        rows.append(row("the same, CPU", npu[1] * 1e3, cpu[1] * 1e3, "ms", "CPU tensors"))
    alone = "`import torch, torch_npu` alone"
    return [
        *rows,
        row("start of a program, with its first kernel, CPU", found.start, found.imports, "s", alone),
        row("memory of 512 MiB of tensors", *found.memory, "MiB", "CPU tensors"),
        row("8 idle streams for 5 s, CPU, task queue off", found.idle, 5, "s", "one busy core"),
        row("the same, with torch_npu's task queue, which polls", found.idle_queue, 5, "s", "one busy core"),
    ]


def adapter_part(workshop: Workshop, environment: Path) -> list[Row]:
    """This adapter beside the published one: calls, training steps, the import and the wheel."""
    matrix = load(ROOT / "matrix" / "compat.yaml")
    cell = own_cell(matrix)
    (outcome,) = run((cell,), workshop, Console(), smoke="never")
    home = run_smoke(cell, workshop, keep=True).environment
    assert home is not None
    found = adapters.measure(home / "env", environment)
    rows = []
    for what, cost in found.calls.items():
        rows += [
            row(what, cost["ours"], cost[side], "us", f"published, task {side}")
            for side in ("queue off", "queue on")
        ]
        rows.append(row(what, cost["ours"], cost["cpu"], "us", "CPU tensors"))
    (ours, grown), (theirs, held) = found.imports["ours"], found.imports["queue on"]
    project, _, adapter = simulated.ADAPTER.partition("==")
    published = catalogue.load(matrix.path.with_name("catalogue")).wheel(adapter, cell.python, cell.arch)
    assert published is not None
    assert published.size is not None
    name = f"published {project} {adapter}"
    return [
        *rows,
        row("the import, beyond torch's, CPU", ours, theirs, "s", name),
        row("the same", ours, found.bare, "s", "`import torch` alone"),
        row("memory that the import adds", grown, held, "MiB", name),
        row("the wheel", outcome.wheel.path.stat().st_size / 2**20, published.size / 2**20, "MiB", name),
    ]


def acceptance(environment: Path) -> list[Row]:
    """The checks of all capability groups, beside the start of as many programs."""
    found = simulated.accept(environment)
    peer = f"{found.programs} times `import torch, torch_npu` alone"
    what = f"{found.count:,} checks in {found.programs} programs, CPU"
    return [row(what, found.cpu, found.imports * found.programs, "s", peer)]


def generation_part(workshop: Workshop) -> list[Row]:
    """Native builds, and minutes, with one for each generation of torches instead of one for each torch."""
    matrix = load(ROOT / "matrix" / "compat.yaml")
    (outcome,) = run((own_cell(matrix),), workshop, Console(), smoke="never")
    assert outcome.wheel is not None
    assert outcome.simulator is not None
    wheels = (outcome.wheel.path, outcome.simulator.path)
    found = generations.measure(matrix, wheels, workshop.store, own_cell(matrix).arch)
    shelf = Shelf(matrix.path.with_name("abi"))
    print(generations.table(generations.steps(wheels, shelf, own_cell(matrix).arch)), file=sys.stderr)
    recorded = f"{found.recorded} torches since {generations.OLDEST}"
    rows = []
    for what, ours, torches in (
        ("torches of the matrix, as proven", found.generations, found.lines),
        (f"{recorded}, by records: patch releases", found.as_is, found.recorded),
        (f"{recorded}, by records: a class for each layout", found.by_classes, found.recorded),
    ):
        builds = [generations.ARCHES * count for count in (ours, torches)]
        minutes = [count * found.seconds / 60 for count in builds]
        rows.append(row(f"native builds: {what}", *builds, "builds", "one for each torch"))
        rows.append(row("the same, compiling from nothing", *minutes, "min", "one for each torch"))
    return rows


def index_part() -> list[Row]:
    """A static index of many wheels. Seconds of CPU, too, which other work on the machine changes less.

    In memory, for all of them, but for the last row: what waits for a disk measures the others at it.
    """
    rows, add = _index_rows(MANY)
    on_disk = static_index.measure(MANY, theirs=False)["add"]
    what = f"20 wheels more than {MANY:,}, on a disk and flushed"
    return [*_index_rows(INDEXED)[0], *rows, row(what, on_disk.seconds, add, "s", "dumb-pypi, in memory")]


def _index_rows(count: int) -> tuple[list[Row], float]:
    """The rows, and how long dumb-pypi takes for a few wheels more."""
    found = static_index.measure(count, static_index.MEMORY, slow=count == INDEXED)
    ours, dumb = found["build"], found["dumb-pypi"]
    plain, wheels = found["dumb-pypi, no JSON per release"], f"{count:,} wheels"
    theirs, loop = "dumb-pypi, pages only", found["loop"]
    add, more = found["add"], found["dumb-pypi, more"]
    same = "dumb-pypi, and a plain loop that links and hashes"
    rows = [
        row(f"{wheels}: linked, hashed, pages", ours.seconds, dumb.seconds, "s", theirs),
        row("the same, CPU", ours.cpu, dumb.cpu, "s", theirs),
        row("the same, CPU", ours.cpu, dumb.cpu + loop.cpu, "s", same),
        row("their files alone, CPU", ours.cpu - found["pages"].cpu, loop.cpu, "s", "the plain loop"),
        row("the plain loop itself, which no index can undercut, CPU", loop.cpu, dumb.cpu, "s", theirs),
        row("their pages alone", found["pages"].seconds, dumb.seconds, "s", theirs),
        row("their pages alone, CPU", found["pages"].cpu, dumb.cpu, "s", theirs),
        row("their pages alone, CPU", found["pages"].cpu, plain.cpu, "s", f"{theirs}, no JSON per release"),
        row(f"20 wheels more than {wheels}", add.seconds, more.seconds, "s", theirs),
        row("20 wheels more, CPU", add.cpu, more.cpu, "s", theirs),
        row("peak of memory", ours.peak / 2**20, dumb.peak / 2**20, "MiB", theirs),
    ]
    if "simple503" in found:
        copied = "simple503: copied, hashed, pages"
        rows.insert(3, row("the same, CPU", ours.cpu, found["simple503"].cpu, "s", copied))
    return rows, more.seconds


# ------------------------------------------------------------------------------------------------- the page
def render(title: str, rows: list[Row]) -> str:
    """One section of the page: machine and date, table."""
    cpus = (line for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line)
    cpu = next((line.split(":")[1].strip() for line in cpus), platform.processor())
    head = (
        f"## {title}\n\n"
        f"On {datetime.now(tz=timezone.utc).date()}: {os.cpu_count()} x {cpu}, {platform.platform()}, "
        f"Python {platform.python_version()}, load {os.getloadavg()[2]:.1f}.\n\n"
        "| what | ours | peer, same run | ratio |\n| --- | --- | --- | --- |\n"
    )
    return head + "".join(f"| {' | '.join(cells)} |\n" for cells in rows)


HEAD = """\
# Results

Written by `nox -s bench`. The NPU is the simulator's. A ratio is ours over the peer's: smaller is better. The
load is the number of processes that wanted to run, over the last 15 minutes.
"""
TITLES = {
    "host": "Start-up, lint, dispatch",
    "index": "A static index, in memory",
    "native": "The native part of a line",
    "imports": "Imports inside functions, seconds of CPU",
    "sign": "Signatures",
    "pick": "The picker",
    "programs": "Programs on the simulator",
    "adapter": "This adapter beside the published one",
    "accept": "The acceptance of a published adapter",
    "generations": "One native build for several torches",
}


def write(page: Path, made: dict[str, str]) -> str:
    """Put sections, by their names, into the page; the others stay."""
    _, *old = page.read_text(encoding="utf-8").split("\n## ") if page.exists() else [""]
    kept = {title: f"## {text}" for text in old for title in [text.split("\n")[0]]}
    sections = [made.get(name) or kept.get(title) for name, title in TITLES.items()]
    text = "\n".join([HEAD, *(section.rstrip() + "\n" for section in sections if section)])
    page.write_text(text, encoding="utf-8")
    return text


def main(names: list[str]) -> None:
    """Measure the sections and write the page."""
    unknown = set(names) - set(TITLES)
    if unknown:
        sys.exit(f"no section {', '.join(unknown)}; there are {', '.join(TITLES)}")
    matrix = load(ROOT / "matrix" / "compat.yaml")
    store = Store(default_root(ROOT))
    workshop = Workshop(
        store,
        HostEngine(store.root / "tools"),
        ROOT,
        matrix.lines,
        matrix.document.torch_cpu_index,
    )
    for name in names or TITLES:
        if name == "host":
            run((own_cell(matrix),), workshop, Console(), smoke="once")
            rows = [*start_up(), *lint(), *dispatch(workshop), *all_reduce(workshop)]
        elif name == "index":
            rows = index_part()
        elif name == "imports":
            rows = import_part()
        elif name == "pick":
            rows = picking()
        elif name == "generations":
            rows = generation_part(workshop)
        elif name == "native":
            rows = native_part(workshop)
        elif name == "programs":
            rows = simulated_programs(simulated.install(store.root / "bench" / "npu"))
        elif name == "adapter":
            rows = adapter_part(workshop, simulated.install(store.root / "bench" / "npu"))
        elif name == "accept":
            rows = acceptance(simulated.install(store.root / "bench" / "npu"))
        else:
            rows = signing()
        print(write(ROOT / "bench" / "RESULTS.md", {name: render(TITLES[name], rows)}))


if __name__ == "__main__":
    main(sys.argv[1:])

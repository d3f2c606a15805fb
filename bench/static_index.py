"""A static index of many wheels, from nothing and after one more release, against dumb-pypi and simple503.

The wheels are generated: 20 per project, of four versions and five Pythons. What each one writes:

    wheelmill   HTML and JSON (PEP 691) of the merged root, a metadata file per wheel; every wheel linked and
                hashed; all of it flushed to the disk and switched at once
                (`pages`: the pages alone, all of them written again from the records that are read out of
                the ones before, as a changed layout asks for)
    dumb-pypi   HTML and the older JSON per project from a list that it is given with every hash; pages for
                people; no wheel is touched, nothing is flushed. Also without its JSON per release
    simple503   HTML, a metadata file per wheel; every wheel is copied, opened and hashed
    loop        no page: each wheel linked and hashed, its metadata file written, in the plainest way. With
                dumb-pypi it is the same work as ours, but for the flush and the switch

What a program takes to start, its imports among it, is left out: of ours, and of dumb-pypi as far as its
`--help` shows it. Of pages alone and of dumb-pypi the least of three runs counts, each figure for itself.

The release that is added is the third after the build: by then an old tree has to be cleared away, as always.

`python bench/static_index.py [WHEELS]` prints seconds and the peak of memory of each, in its own process.
"""

from __future__ import annotations

import hashlib
import json
import resource
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

ROOT = Path(__file__).parents[1]
PEERS = ("dumb-pypi", "simple503")
PER_PROJECT = 20
_MOMENT = datetime(2026, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True)
class Took:
    """Wall seconds, seconds of CPU, and the peak of memory in bytes."""

    seconds: float
    cpu: float
    peak: int


def name_of(number: int) -> str:
    """The file name of a generated wheel."""
    project, rest = divmod(number, PER_PROJECT)
    version, python = divmod(rest, 5)
    tag = f"cp3{python + 9}-cp3{python + 9}-manylinux_2_28_x86_64"
    return f"project_{project:05d}-1.{version}-{tag}.whl"


def metadata_of(name: str) -> bytes:
    """Its METADATA."""
    project, version, _ = name.split("-", 2)
    return (
        f"Metadata-Version: 2.1\nName: {project}\nVersion: {version}\nRequires-Python: >=3.9\n"
        "Summary: A generated wheel\n\n"
    ).encode()


def generate(folder: Path, wheels: range) -> list[dict[str, object]]:
    """Write wheels that can be opened; what dumb-pypi is told of each."""
    told = []
    folder.mkdir(parents=True, exist_ok=True)
    for number in wheels:
        name = name_of(number)
        info = "-".join(name.split("-")[:2]) + ".dist-info"
        with zipfile.ZipFile(folder / name, "w") as archive:
            archive.writestr(zipfile.ZipInfo(f"{info}/METADATA"), metadata_of(name))
            archive.writestr(zipfile.ZipInfo(f"{info}/WHEEL"), f"Wheel-Version: 1.0\nTag: {name[:-4]}\n")
            archive.writestr(zipfile.ZipInfo(f"{info}/RECORD"), "")
        digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        told.append(
            {
                "filename": name,
                "hash": f"sha256={digest}",
                "requires_python": ">=3.9",
                "core_metadata": f"sha256={hashlib.sha256(metadata_of(name)).hexdigest()}",
                "upload_timestamp": int((_MOMENT + timedelta(seconds=number)).timestamp()),
            }
        )
    return told


# ------------------------------------------------------------------------------------------- one run each
_OURS = """
import json, sys, time
sys.path[:0] = [{root!r}, {root!r} + "/release"]
from pathlib import Path
from bench.static_index import records
from wheelmill.publish.index import Layout, Status, build_index, change_index
what, wheels, begin, end, out = sys.argv[1:]
given = records(Path(wheels), range(int(begin), int(end)))
started = time.perf_counter(), time.process_time()
if what == "build":
    build_index(given, Path(out))
elif what == "pages":
    change_index(Path(out), Layout({{f"another {{time.time()}}": Status()}}))
else:
    change_index(Path(out), add=given)
print(time.perf_counter() - started[0], time.process_time() - started[1])
"""


def records(wheels: Path, numbers: range) -> list[object]:
    """The records of generated wheels as a release has them: hashes known since they were audited."""
    from wheelmill.publish.index import WheelRecord
    from wheelmill.publish.index.records import moment

    made: list[object] = []
    for number in numbers:
        name = name_of(number)
        data = (wheels / name).read_bytes()
        made.append(
            WheelRecord(
                filename=name,
                sha256=hashlib.sha256(data).hexdigest(),
                size=len(data),
                requires_python=">=3.9",
                metadata=metadata_of(name),
                uploaded=moment(_MOMENT + timedelta(seconds=number)),
                path=wheels / name,
            )
        )
    return made


def ours(what: str, wheels: Path, numbers: range, out: Path) -> Took:
    """Build or change an index; reading the generated wheels is not counted, imports are not."""
    command = [sys.executable, "-c", _OURS.format(root=str(ROOT)), what, str(wheels)]
    took, text = run([*command, str(numbers.start), str(numbers.stop), str(out)])
    wall, cpu = map(float, text.split())
    return Took(wall, cpu, took.peak)


def least(work: Callable[[], Took], times: int = 3) -> Took:
    """Of several runs the least of each figure."""
    runs = [work() for _ in range(times)]
    return Took(min(r.seconds for r in runs), min(r.cpu for r in runs), min(r.peak for r in runs))


# In a process between: the peak of a process is at least that of the one that it was forked from.
_RUN = """
import os, subprocess, sys, time
started = time.perf_counter()
process = subprocess.Popen(sys.argv[1:])
_, status, usage = os.wait4(process.pid, 0)
took = time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss << 10
print(*took, status, file=sys.stderr)
"""


def run(command: list[str]) -> tuple[Took, str]:
    """A process, what it took and what it printed."""
    done = subprocess.run([sys.executable, "-c", _RUN, *command], capture_output=True, text=True, check=True)
    *_, said = done.stderr.splitlines()
    seconds, cpu, peak, status = said.split()
    if status != "0":
        raise SystemExit(f"{command[0]} failed:\n{done.stderr}")
    return Took(float(seconds), float(cpu), int(peak)), done.stdout


_LOOP = """
import hashlib, os, sys
sys.path[:0] = [{root!r}]
from pathlib import Path
from bench.static_index import metadata_of
wheels, out = sys.argv[1:]
os.mkdir(out)
for name in os.listdir(wheels):
    os.link(f"{{wheels}}/{{name}}", f"{{out}}/{{name}}")
    with open(f"{{out}}/{{name}}", "rb") as stream:
        hashlib.sha256(stream.read()).hexdigest()
    with open(f"{{out}}/{{name}}.metadata", "wb") as stream:
        stream.write(metadata_of(name))
"""


def loop(wheels: Path, out: Path) -> Took:
    """What the files alone take, whoever makes the pages."""
    return run([sys.executable, "-c", _LOOP.format(root=str(ROOT)), str(wheels), str(out)])[0]


def peers(folder: Path) -> Path:
    """An environment with the peers, from the configured index."""
    uv = str(Path(sys.executable).parent / "uv")
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, str(folder)], check=True)
    subprocess.run([uv, "pip", "install", "-q", "--python", str(folder / "bin/python"), *PEERS], check=True)
    return folder / "bin"


def dumb_pypi(
    bin_: Path, folder: Path, told: list[dict[str, object]], before: Path | None = None, *more: str
) -> Took:
    """All pages, or those of what a list has more than the one before."""
    listing = folder / f"list-{len(told)}"
    listing.write_text("".join(json.dumps(one) + "\n" for one in told))
    words = [*more, "--output-dir", str(folder / "dumb"), "--packages-url", "../../files"]
    if before is not None:
        words += ["--previous-package-list-json", str(before)]
    program = str(bin_ / "dumb-pypi")
    start, _ = run([program, "--help"])
    took, _ = run([program, "--package-list-json", str(listing), *words])
    return Took(took.seconds - start.seconds, took.cpu - start.cpu, took.peak)


def simple503(bin_: Path, wheels: Path, out: Path) -> Took:
    """Pages and copies of all wheels."""
    out.mkdir()
    return run([str(bin_ / "simple503"), "--copy", "--extract-metadata", str(wheels), str(out)])[0]


MEMORY = Path("/dev/shm")  # where a disk that others use, too, is nobody's figure


def measure(
    count: int, scratch: Path | None = None, *, slow: bool = True, theirs: bool = True
) -> dict[str, Took]:
    """Everything with `count` wheels; `slow` with simple503, too; without `theirs`, of no peer."""
    with tempfile.TemporaryDirectory(dir=scratch) as name:
        folder = Path(name)
        wheels, more = folder / "wheels", folder / "more"
        told = generate(wheels, range(count))
        releases = [range(count + at * PER_PROJECT, count + (at + 1) * PER_PROJECT) for at in range(3)]
        new = [generate(more, numbers) for numbers in releases]
        out = folder / "index"
        subprocess.run(["sync"], check=True)
        found = {"build": ours("build", wheels, range(count), out)}
        for numbers in releases:
            found["add"] = ours("add", more, numbers, out)
        found["pages"] = least(lambda: ours("pages", wheels, range(0), out))
        if not theirs:
            return found
        found["loop"] = loop(wheels, folder / "loop")
        bin_ = peers(folder / "peers")
        found |= {
            "dumb-pypi": least(lambda: dumb_pypi(bin_, folder, told)),
            "dumb-pypi, no JSON per release": dumb_pypi(bin_, folder, told, None, "--no-per-release-json"),
        }
        found["dumb-pypi, more"] = dumb_pypi(bin_, folder, told + new[0], folder / f"list-{count}")
        if slow:
            found["simple503"] = simple503(bin_, wheels, folder / "simple503")
        return found


def main(count: int = 30_000) -> None:
    """Print what each took."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    for what, took in measure(count, slow=count <= 30_000).items():
        print(f"{what}: {took.seconds:.2f} s, {took.cpu:.2f} s of CPU, {took.peak / 2**20:.0f} MiB")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))

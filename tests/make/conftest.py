"""A small adapter that follows the CMake contract, a small torch, and a loopback server for its wheel."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import pytest
from wheelmill.make.build import Workshop
from wheelmill.make.engines.host import HostEngine
from wheelmill.make.toolchain.compiler import host_arch
from wheelmill.make.toolchain.sdk import running_python
from wheelmill.matrix import Line, Torch, TorchWheel
from wheelmill.store import Store, digest_file

CMAKE = r"""cmake_minimum_required(VERSION 3.20)
project(small LANGUAGES CXX)
set(CMAKE_BUILD_WITH_INSTALL_RPATH ON)
add_link_options(LINKER:--strip-all)
add_compile_options("-ffile-prefix-map=${CMAKE_CURRENT_SOURCE_DIR}=adapter")
foreach(name npu_core torch_npu ascendcl opapi)
  add_library(${name} SHARED core/${name}.cpp)
  target_include_directories(${name} PRIVATE ${TORCH_SDK}/include)
endforeach()
# A generated source, as the adapter has some: it names itself, and a header in full.
set(generated ${CMAKE_CURRENT_BINARY_DIR}/generated)
file(WRITE ${generated}/part.h "inline const char* part() { return __FILE__; }\n")
file(WRITE ${generated}/register.cpp "#include \"${generated}/part.h\"
extern \"C\" const char* where(int i) { return i == 0 ? __FILE__ : i == 1 ? __BASE_FILE__ : part(); }\n")
target_sources(torch_npu PRIVATE ${generated}/register.cpp)
install(TARGETS npu_core torch_npu LIBRARY DESTINATION torch_npu/lib COMPONENT adapter)
install(TARGETS ascendcl opapi LIBRARY DESTINATION cann_simulator/lib COMPONENT simulator)
"""


# What the audit wants of the wheels beside that: they have libraries that are linked to torch's.
TORCH_LINKS = """
foreach(name c10 torch_cpu)
  add_library(${name} SHARED core/npu_core.cpp)
  target_include_directories(${name} PRIVATE ${TORCH_SDK}/include)
endforeach()
foreach(name torch_npu opapi)
  target_link_options(${name} PRIVATE -Wl,--no-as-needed)
  target_link_libraries(${name} PRIVATE c10 torch_cpu)
endforeach()
"""

# A build step that tells its process in the folder `steps` and sleeps until the file `go` is there.
SLOW = """
add_custom_target(slow ALL COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/core/slow.py
  ${CMAKE_SYSTEM_PROCESSOR})
"""
SLOW_STEP = """import os, pathlib, sys, time
home = pathlib.Path({home!r})
(home / "steps").mkdir(exist_ok=True)
(home / "steps" / sys.argv[1]).write_text(str(os.getpid()))
while sys.argv[1] == {failing!r}:
    if len(list((home / "steps").iterdir())) > 1:
        sys.exit("error: no " + sys.argv[1] + " here")
while not (home / "go").exists():
    time.sleep(0.05)
"""

PROJECT = Path(__file__).parents[2]
LINE = "v2.1.0-5.0.rc3"

LIBRARIES = ("npu_core", "torch_npu", "ascendcl", "opapi")
SOURCES = (*LIBRARIES, "register")  # of the libraries, and the generated one
SOURCE = """#include <torch/marker.h>
extern "C" int {name}() {{ return TORCH_MARKER; }}
extern "C" const char* {name}_file(int i) {{ return i ? __FILE__ : TORCH_FILE; }}
"""
MARKER = """#define TORCH_MARKER 9
inline const char* torch_file() { return __FILE__; }
#define TORCH_FILE torch_file()
"""


def alive(pid: str) -> bool:
    """Running: there, and not a zombie, as an orphan is until init has asked for it."""
    stat = Path("/proc", pid, "stat")
    return stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"


@pytest.fixture(scope="session")
def torch_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel with torch's layout, whose libraries nobody links."""
    path = tmp_path_factory.mktemp("torch") / "torch-9.1.0-cp311-cp311-linux_x86_64.whl"
    write_torch_wheel(path)
    return path


def write_torch_wheel(path: Path, **more: bytes) -> None:
    """Write the wheel; `more` maps further member names to their content."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("torch/include/torch/marker.h", MARKER)
        for name in ("libc10.so", "libtorch_cpu.so", "libtorch.so", "libtorch_cuda.so"):
            archive.writestr(f"torch/lib/{name}", b"not an ELF file: " + name.encode() * 1000)
        archive.writestr("torch/__init__.py", "raise ImportError('an SDK is never imported')\n")
        for name, data in more.items():
            archive.writestr(name, data)


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    """A source tree with every part that a build looks at."""
    root = tmp_path / "adapter"
    files = {
        "CMakeLists.txt": CMAKE,
        "LICENSE": "BSD-3-Clause, in full\n",
        "README.md": "# The adapter\n",
        "src/torch_npu/__init__.py": "def _autoload():\n    pass\n",
        "src/torch_npu/npu/__init__.py": "",
        "../simulator/src/cann_simulator/__init__.py": "",
        "../simulator/src/cann_simulator/__main__.py": "def main():\n    print('simulated')\n",
        **{f"core/{name}.cpp": SOURCE.format(name=name) for name in LIBRARIES},
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.fixture
def make_torch(server: Server, torch_wheel: Path) -> Callable[..., Torch]:
    """Torch 9.1.0, whose only wheel is for the running Python and served at `server`."""

    def make(*, url: str | None = server.url, sha256: str = "", python: str = running_python()) -> Torch:
        digest = sha256 or digest_file(torch_wheel)
        arches = ("aarch64", "x86_64")
        wheels = tuple(TorchWheel(python, arch, digest, url, "cpu") for arch in arches)
        policies = dict.fromkeys(arches, "manylinux_2_28")
        pythons = tuple(dict.fromkeys(("3.8", "3.11", running_python())))
        return Torch("9.1.0", pythons, 17, dict.fromkeys(arches, True), policies, (), wheels)

    return make


@pytest.fixture
def make_line(make_torch: Callable[..., Torch]) -> Callable[..., Line]:
    """A buildable line on torch 9.1.0; keywords replace its fields."""

    def make(**fields: object) -> Line:
        torch = make_torch()
        line = Line(
            branch="v9.1.0",
            series=None,
            cann="9.9.0",
            torch=torch,
            adapter="9.1.0rc1",
            pythons=torch.pythons,
            arches=("aarch64", "x86_64"),
            buildable=True,
            reason=None,
            kind="development",
        )
        return replace(line, **fields)  # type: ignore[arg-type]

    return make


@pytest.fixture
def workshop(tmp_path: Path, adapter: Path, make_line: Callable[..., Line]) -> Workshop:
    """A store of its own, this machine's compiler, the small adapter and one line."""
    store = Store(tmp_path / "mill")
    return Workshop(store, HostEngine(store.root / "tools"), adapter.parent, (make_line(),))


@pytest.fixture
def arch() -> str:
    """This machine's."""
    return host_arch()


@dataclass
class Server:
    """A loopback server for one file. `cut` ends each answer after so many bytes, `status` refuses."""

    path: Path
    url: str = ""
    cut: int | None = None
    status: int | None = None
    ranges: bool = True
    requests: list[str] = field(default_factory=list)


@pytest.fixture
def server(torch_wheel: Path) -> Iterator[Server]:
    """Serves the torch wheel, honestly until a test says otherwise."""
    state = Server(torch_wheel)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range", "")
            state.requests.append(wanted)
            if state.status is not None:
                self.send_error(state.status)
                return
            data = state.path.read_bytes()
            start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and state.ranges else 0
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(data) - start))
            self.end_headers()
            self.wfile.write(data[start:] if state.cut is None else data[start : start + state.cut])

        def log_message(self, *words: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    state.url = f"http://127.0.0.1:{http.server_port}/{torch_wheel.name}"
    yield state
    http.shutdown()
    http.server_close()


@dataclass(frozen=True)
class Checkout:
    """A project of the small adapter with the real matrix, in which torch 2.1.0 is the small torch."""

    root: Path
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def adapter(self) -> Path:
        """The sources."""
        return self.root / "adapter"

    @property
    def home(self) -> Path:
        """The state."""
        return self.root / ".wheelmill"

    @property
    def links(self) -> Path:
        """Where pip finds torch; it is told of no index."""
        return self.root / "links"

    @property
    def pip(self) -> dict[str, str]:
        """The environment in which pip looks there and nowhere else."""
        alone = {"PIP_CONFIG_FILE": os.devnull, "PIP_CONSTRAINT": "", "PIP_NO_INDEX": "1"}
        return {**alone, "PIP_FIND_LINKS": str(self.links)}

    def start(self, *words: str, before: tuple[str, ...] = (), **environment: str) -> subprocess.Popen[str]:
        """`wheelmill WORDS` as a process; `before` stands before the interpreter."""
        matrix = str(self.root / "matrix" / "compat.yaml")
        process = subprocess.Popen(
            [*before, sys.executable, "-m", "wheelmill", "--matrix", matrix, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                "PYTHONPATH": str(PROJECT / "release"),
                "WHEELMILL_HOME": str(self.home),
                **self.pip,
                **environment,
            },
        )
        self.started.append(process)
        return process

    def end(self) -> None:
        """Leave no process behind, whatever became of the test."""
        self.let_go()
        for process in self.started:
            with process:
                process.terminate()

    def run(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """`wheelmill WORDS`, ended."""
        process = self.start(*words, **environment)
        out, err = process.communicate(timeout=900)
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def make_small(self, version: str, torch: Path) -> None:
        """Let a torch of the matrix be this wheel, for its first four Pythons."""
        file = self.root / "matrix" / "compat.yaml"
        text = file.read_text(encoding="utf-8")
        start = text.index("    wheels:\n", text.index(f"  - version: {version}\n"))
        end = text.index("\n  - version", start)
        rows = [
            f'      - {{python: "{python}", arch: {arch}, build: cpu, sha256: {digest_file(wheel)}, '
            f'url: "https://127.0.0.1:9/{quote(wheel.name)}"}}\n'  # nobody answers there, so pip is asked
            for python in ("3.8", "3.9", "3.10", "3.11")
            for arch in ("aarch64", "x86_64")
            for wheel in (_linked(torch, self.links, version, python, arch),)
        ]
        file.write_text("".join([text[:start], "    wheels:\n", *rows, text[end:]]), encoding="utf-8")

    def make_slow(self, *, failing: str = "") -> None:
        """Every bundle's build stops at a step of its own, until `let_go`; one fails when two are there."""
        with (self.adapter / "CMakeLists.txt").open("a") as lists:
            lists.write(SLOW)
        (self.adapter / "core" / "slow.py").write_text(SLOW_STEP.format(home=str(self.root), failing=failing))

    def steps(self, *arches: str) -> dict[str, int]:
        """The processes of the slow steps for these arches, once all are running."""
        end = time.monotonic() + 600
        paths = [self.root / "steps" / arch for arch in arches]
        while not all(path.is_file() and path.read_text() for path in paths):
            assert time.monotonic() < end, f"not all of {arches} came to the slow step"
            time.sleep(0.05)
        return {path.name: int(path.read_text()) for path in paths}

    def let_go(self) -> None:
        """Let the slow steps end."""
        (self.root / "go").touch()


@pytest.fixture(scope="session")
def linkable_torch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A torch wheel whose libraries can be read, though nothing is in them."""
    folder = tmp_path_factory.mktemp("linkable")
    empty = folder / "empty.so"
    subprocess.run(["g++", "-shared", "-nostdlib", "-x", "c++", "/dev/null", "-o", empty], check=True)
    path = folder / "torch-2.1.0-cp38-cp38-linux_x86_64.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("torch/include/torch/marker.h", MARKER)
        for name in ("libc10.so", "libtorch_cpu.so", "libtorch.so"):
            archive.write(empty, f"torch/lib/{name}")
    return path


@pytest.fixture
def checkout(adapter: Path, linkable_torch: Path, tmp_path: Path) -> Iterator[Checkout]:
    """See Checkout."""
    made = Checkout(tmp_path)
    made.links.mkdir()
    with (adapter / "CMakeLists.txt").open("a") as lists:
        lists.write(TORCH_LINKS)
    (tmp_path / "matrix").mkdir()
    shutil.copy(PROJECT / "matrix" / "compat.yaml", tmp_path / "matrix")
    made.make_small("2.1.0", linkable_torch)
    yield made
    made.end()


def _linked(torch: Path, folder: Path, version: str, python: str, arch: str) -> Path:
    """The torch wheel under the name that pip looks for; no two are the same file."""
    tag = "cp" + python.replace(".", "")
    path = folder / f"torch-{version}+cpu-{tag}-{tag}-linux_{arch}.whl"
    shutil.copy(torch, path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("torch/made_for.txt", f"{version} {python} {arch}\n")
        info = f"torch-{version}+cpu.dist-info"
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: torch\nVersion: {version}+cpu\n")
        archive.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nTag: {tag}-{tag}-linux_{arch}\n")
        archive.writestr(f"{info}/RECORD", "")
    return path

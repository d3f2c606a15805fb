"""Check the names of C++ against .clang-tidy.

    python ci/clang_tidy.py [--torch [INCLUDE]]

Without torch: the core, the runtime and the communication of the simulator, and all C++ tests. With --torch:
the glue and the simulator's operators, with the headers of the newest torch that the adapter is built for, or
with those that are named. A file that passed is not checked again until it, a header, the style or the tool
changes.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "cann" / "operators"))

from sdk import Sdk  # noqa: E402

TIDY = Path(sysconfig.get_path("scripts"), "clang-tidy")
PASSED = ROOT / ".wheelmill" / "clang-tidy"
FOLDERS = (
    *("cann", "cann/include", "adapter/core/include", "adapter/glue", "adapter/src/torch_npu/include"),
    *("simulator", "simulator/include"),
)
#: Other people's projects, with names of their own.
OTHERS = "examples/"
#: These include torch.
WITH_TORCH = ("adapter/glue/", "simulator/aclnn/", "adapter/tests/extension/")


def tracked(*patterns: str) -> list[Path]:
    """Files that git tracks, from the root."""
    listing = subprocess.run(
        ["git", "ls-files", "--", *patterns], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return [Path(line) for line in listing.stdout.split()]


def newest_torch() -> Path:
    """The headers of the newest torch that the adapter is built for, fetched if need be."""
    sys.path.insert(0, str(ROOT / "release"))
    from wheelmill.make.toolchain import sdk
    from wheelmill.matrix import load
    from wheelmill.progress import silent
    from wheelmill.store import Store

    torch = next(iter(load(ROOT / "matrix" / "compat.yaml").cells())).line.torch
    # The wheel for this architecture is a CPU build, a tenth of the others' size; the headers are the same.
    return sdk.ensure(torch, "aarch64", Store(ROOT / ".wheelmill"), silent).root / "include"


def torch_flags(include: Path) -> list[str]:
    """As cann/cmake/torch_sdk.cmake has them, and the headers that are generated for this torch."""
    version = Sdk(include).version
    if version is None:
        sys.exit(f"clang_tidy: {include} does not say its torch version; name the include folder of an SDK")
    generated = PASSED / "generated"
    command = [
        *(sys.executable, "-B", "adapter/ops/generate.py", "--table", "adapter/ops/ops.yaml"),
        *("--custom", "adapter/ops/custom.yaml"),
        *("--operators", "cann/operators", "--sources", "adapter/glue", "--torch", str(include)),
        *("--out", str(generated)),
    ]
    subprocess.run(command, cwd=ROOT, check=True)
    return [
        *(f"-DNPU_TORCH={version[0] * 100 + version[1]}", "-DAT_PER_OPERATOR_HEADERS"),
        *("-D_GLIBCXX_USE_CXX11_ABI=1", f"-I{generated}", "-isystem", str(include)),
        *("-isystem", str(include / "torch" / "csrc" / "api" / "include")),
        *("-isystem", sysconfig.get_path("include"), "-DTORCH_EXTENSION_NAME=extension"),
    ]


def check(source: Path, flags: Sequence[str], base: str) -> str | None:
    """The tool's findings, or None."""
    key = hashlib.sha256(f"{base}\0{source}\0".encode() + (ROOT / source).read_bytes()).hexdigest()
    if (PASSED / key).exists():
        return None
    command = [TIDY, "--quiet", f"--config-file={ROOT / '.clang-tidy'}", source, "--", *flags]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        return done.stdout + done.stderr
    PASSED.mkdir(parents=True, exist_ok=True)
    (PASSED / key).touch()
    return None


def state(flags: Sequence[str]) -> str:
    """A digest of what every file's result depends on."""
    version = subprocess.run([TIDY, "--version"], check=True, capture_output=True).stdout
    headers = b"".join((ROOT / path).read_bytes() for path in tracked("*.h"))
    parts = (version, (ROOT / ".clang-tidy").read_bytes(), headers, " ".join(flags).encode())
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The options: `torch` is None without it, and "" for the newest one."""
    parser = argparse.ArgumentParser(description="Check the names of C++ against .clang-tidy.")
    text = (
        "check what includes torch, with the headers there, or with those of the newest torch of the matrix"
    )
    parser.add_argument("--torch", nargs="?", const="", metavar="INCLUDE", help=text)
    return parser.parse_args(words)


def main(words: Sequence[str]) -> int:
    """Return 0 when every name is as .clang-tidy has it."""
    options = parse(words)
    flags = ["-std=c++17", *(f"-I{folder}" for folder in FOLDERS)]
    sources = [path for path in tracked("*.cpp") if not path.as_posix().startswith(OTHERS)]
    if not sources:
        sys.exit("clang_tidy: git lists no C++ file; run it in a checkout of the project")
    sources = [
        path for path in sources if path.as_posix().startswith(WITH_TORCH) == (options.torch is not None)
    ]
    if options.torch is not None:
        flags += torch_flags(Path(options.torch).resolve() if options.torch else newest_torch())
    base = state(flags)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = [text for text in pool.map(lambda path: check(path, flags, base), sources) if text]
    for text in dict.fromkeys(found):
        print(text, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

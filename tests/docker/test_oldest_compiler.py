"""The compiler that wheels are built with takes every source that needs no torch; newer ones take more."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from wheelmill.make.images import Image

if TYPE_CHECKING:
    import docker

ROOT = Path(__file__).parents[2]
SIMULATOR, CORE = ROOT / "simulator", ROOT / "adapter" / "core"
FOLDERS = [SIMULATOR / name for name in ("runtime", "hccl", "nnopbase", "op_compiler")] + [CORE / "src"]
INCLUDE = [folder / name for folder in (SIMULATOR, ROOT / "cann", CORE) for name in ("", "include", "src")]
# Compiles the files that it is given, as many at once as there are CPUs, and says what is wrong with them.
COMPILE = """
cd /sources
one() { g++ -std=c++17 -fsyntax-only -Wall -Wextra -Werror %s "$1" || echo "refused: $1"; }
export -f one
printf '%%s\\n' "$@" | xargs -P "$(nproc)" -I{} bash -c 'one {}' 2>&1
"""


def test_the_oldest_compiler_takes_every_source(client: docker.DockerClient, builder: Image) -> None:
    files = sorted(path for folder in FOLDERS for path in folder.rglob("*.cpp"))
    names = [path.relative_to(ROOT).as_posix() for path in files]
    assert len(names) > 70, "the sources were moved: name their folders here"
    script = COMPILE % " ".join(f"-I {folder.relative_to(ROOT)}" for folder in INCLUDE)
    told = client.containers.run(
        builder.name,
        ["bash", "-c", script, "--", *names],
        volumes={str(ROOT): {"bind": "/sources", "mode": "ro"}},
        network_mode="none",
        remove=True,
    )
    assert told.decode() == ""

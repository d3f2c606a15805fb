"""Renews the lock of the build tools, docker/X86/tools.txt and docker/ARM/tools.txt: a hash for every file.

    python ci/lock_tools.py

A release is built by these versions and no others, whichever index pip asks. Needs uv, which `.[dev]` has.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOCKS = (ROOT / "docker" / "X86" / "tools.txt", ROOT / "docker" / "ARM" / "tools.txt")
TOOLS = ("cmake", "ninja", "pyyaml")
OLDEST = "3.8"  # the Python of the oldest base that builders are made on

HEADER = "# What compiles a release, by hash, from ci/lock_tools.py. Both folders have the same file.\n"


def main() -> int:
    """Ask the configured index for the newest versions and write both files."""
    command = ["pip", "compile", "--quiet", "--universal", "--python-version", OLDEST, "--generate-hashes"]
    command += ["--no-header", "--no-annotate", "--no-emit-index-url", "-"]
    done = subprocess.run(
        [sys.executable, "-m", "uv", *command],
        input="\n".join(TOOLS),
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        for lock in LOCKS:
            lock.write_text(HEADER + done.stdout, encoding="utf-8")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())

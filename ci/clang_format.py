"""Check (or with --fix mend) the C++ files that git tracks against .clang-format."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path


def main(words: list[str]) -> int:
    """Return 0 when every C++ file is formatted."""
    listing = subprocess.run(
        ["git", "ls-files", "--", "*.cpp", "*.h", "*.hpp"], check=True, capture_output=True, text=True
    )
    files = listing.stdout.split()
    if not files:
        sys.exit("clang_format: git lists no C++ file; run it in the project's root")
    mode = ["-i"] if "--fix" in words else ["--dry-run", "-Werror"]
    return subprocess.run(
        [Path(sysconfig.get_path("scripts"), "clang-format"), *mode, *files], check=False
    ).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

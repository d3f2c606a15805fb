"""What keeps the native libraries loadable on platforms older than the compiler that made them."""

from __future__ import annotations

import subprocess
from pathlib import Path

from wheelmill.make.toolchain.compiler import find_compiler, host_arch

ADAPTER = Path(__file__).parents[2] / "adapter"

# A message that is made seldom, as torch's checks make them: the compiler calls the constructors.
MESSAGE = """
#include <sstream>
__attribute__((cold, noinline)) std::string one(int x) { std::ostringstream s; s << x; return s.str(); }
__attribute__((cold, noinline)) std::string two(int x) { std::stringstream s; s << x; return s.str(); }
__attribute__((cold, noinline)) int three() { int x = 0; std::istringstream s; s >> x; return x; }
"""


def test_string_streams_ask_no_recent_standard_library_for_their_constructors(tmp_path: Path) -> None:
    source = tmp_path / "message.cpp"
    source.write_text(MESSAGE)
    bare = _wanted_constructors(tmp_path, source)
    assert len(bare) == 3  # or this test has nothing to show
    assert _wanted_constructors(tmp_path, source, ADAPTER.parent / "cann/cmake/string_streams.cpp") == []


def _wanted_constructors(folder: Path, *sources: Path) -> list[str]:
    library = folder / "library.so"
    compiler = find_compiler(host_arch())
    subprocess.run(
        [*compiler.cxx, "-std=c++17", "-O2", "-fPIC", "-shared", *sources, "-o", library], check=True
    )
    listing = subprocess.run(["nm", "-DC", library], check=True, capture_output=True, text=True).stdout
    return [line for line in listing.splitlines() if "stringstream()" in line and "~" not in line]

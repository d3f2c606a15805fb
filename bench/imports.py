"""What the imports inside functions spare: the start of a command with each of them at its top instead."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "release" / "wheelmill"
RUNS = 3

# Seconds of CPU, which other work on the machine changes less than the clock's.
_MEASURE = """
import importlib, sys, time
for name in sys.argv[1:]:
    importlib.import_module(name)
print(time.process_time())
"""


def lazy() -> dict[str, list[str]]:
    """Package or room -> its modules that functions import, once for each place."""
    found: dict[str, list[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        if "capabilities" not in path.parts:  # run by the Python under test
            for name in _inside(ast.parse(path.read_text(encoding="utf-8"))):
                parts = name.split(".")
                group = ".".join(parts[:2]) if parts[0] == PACKAGE.name else parts[0]
                found.setdefault(group, []).append(name)
    return found


def _inside(tree: ast.Module) -> Iterator[str]:
    """The modules that functions import."""
    functions = [one for one in ast.walk(tree) if isinstance(one, ast.FunctionDef)]
    for node in (node for function in functions for node in ast.walk(function)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            whole = node.module == PACKAGE.name  # `from wheelmill import pick`
            yield from {f"{node.module}.{alias.name}" if whole else node.module for alias in node.names}


def start(*modules: str) -> float:
    """Seconds of CPU of a process that imports them, the least of some runs."""
    command = [sys.executable, "-c", _MEASURE, *modules]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "release")}
    runs = (
        subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
        for _ in range(RUNS)
    )
    return min(float(done.stdout) for done in runs)


def measure(commands: tuple[str, ...]) -> dict[str, tuple[float, float]]:
    """Module -> (start with it, start without), of what these modules of the command line import by then."""
    without = start(*commands)
    return {name: (start(*commands, *sorted(set(modules))), without) for name, modules in lazy().items()}

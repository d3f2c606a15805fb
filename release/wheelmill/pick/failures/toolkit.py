"""The commands of a cure that depend on the toolkit of a machine: where its script is, what it imports."""

from __future__ import annotations

from collections.abc import Mapping

from wheelmill.console import shell_line
from wheelmill.matrix.model import Matrix
from wheelmill.pick.commands import sourcing, toolkit_imports
from wheelmill.pick.failures.model import IMPORTS, LOAD


def own_commands(
    matrix: Matrix, version: str | None = None, script: str | None = None
) -> Mapping[str, tuple[str, ...]]:
    """What stands for the commands of rows that name a toolkit, of this version and loaded by this script.

    Of a version that nobody told, every place of the script and the packages of the newest.
    """
    imported = toolkit_imports(matrix, version)
    return {
        LOAD: sourcing(matrix, version) if script is None else (shell_line("source", script),),
        IMPORTS: (shell_line("pip", "install", *imported),) if imported else (),
    }

"""The version that a described project has, read from its files without running them."""

from __future__ import annotations

from packaging.version import Version

from wheelmill.describe.guess import guess
from wheelmill.describe.load import Described
from wheelmill.errors import WheelmillError


class VersionError(WheelmillError):
    """No file of the project says its version."""


def version_of(described: Described) -> str:
    """`1.0`: what the project file says, else pyproject.toml, setup.cfg or setup.py of the sources.

    Raises VersionError where they leave it to a program, which is not run.
    """
    said = described.project.version or guess(described.source).version
    if said is None:
        raise VersionError(
            f"{described.project.package}: neither pyproject.toml, setup.cfg nor setup.py says its version",
            hint=f'Write it into {described.file.name}, as builds give it: version = "1.0"',
        )
    return Version(said).public

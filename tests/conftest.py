"""What tests ask for by name when they need more than the README's list; see tests/needs.py."""

from __future__ import annotations

import pytest
from hypothesis import settings
from wheelmill.make.toolchain.compiler import host_arch

from tests import needs

# Outside a CI that it knows, hypothesis gives an example 200 ms: a busy machine would fail the checks.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")


@pytest.fixture(scope="session")
def cross_compiler() -> None:
    """A compiler for the architecture that this machine is not."""
    needs.need_compiler({"x86_64": "aarch64", "aarch64": "x86_64"}[host_arch()])

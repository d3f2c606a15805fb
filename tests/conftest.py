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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with tests that take long are begun first: side by side with others, they end sooner."""
    slow = {
        item.path for item in items if item.get_closest_marker("slow") or item.get_closest_marker("docker")
    }
    items.sort(key=lambda item: item.path not in slow)

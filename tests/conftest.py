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


# Folders whose tests share what is dear: one builder image, one site.
_TOGETHER = ("docker", "site")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of one file, or of such a folder, run in one process, and what takes long begins first."""
    for item in items:
        folder = item.path.parent.name
        item.add_marker(pytest.mark.xdist_group(folder if folder in _TOGETHER else item.path.name))
    slow = {
        item.path for item in items if item.get_closest_marker("slow") or item.get_closest_marker("docker")
    }
    items.sort(key=lambda item: item.path not in slow)

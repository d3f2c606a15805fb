"""The site of a fixed day, written once for all tests."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from wheelmill.pick.shelf import Shelf
from wheelmill.pick.site import Site, write
from wheelmill.project import find_project

from tests.matrix.small import COMPAT

DAY = date(2026, 11, 28)


@pytest.fixture(scope="session")
def site() -> Site:
    here = find_project(COMPAT)
    return Site(Shelf(here.matrix(), here.catalogue(), DAY), here.notes())


@pytest.fixture(scope="session")
def folder(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site")
    write(site, target)
    return target

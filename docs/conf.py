"""Sphinx: the pages of docs/ as HTML. `nox -s docs` builds them with warnings as errors."""

from __future__ import annotations

from pathlib import Path

import tomllib

_ROOT = Path(__file__).parents[1]
_PROJECT = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

project = "wheelmill"
author = "the wheelmill authors"
version = release = _PROJECT["version"]

extensions = ["myst_parser"]
exclude_patterns = ["_build", "locale"]
myst_heading_anchors = 3
nitpicky = True
# Pages also link to files outside of docs/, such as CONTRIBUTING.md: tests/test_pages.py checks every link.
suppress_warnings = ["myst.xref_missing"]

html_theme = "furo"
html_title = "wheelmill"
html_copy_source = False

locale_dirs = ["locale"]
gettext_compact = False
gettext_uuid = False

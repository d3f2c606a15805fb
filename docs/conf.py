"""Sphinx: the pages of docs/ as HTML. `nox -s docs` builds English and Chinese, warnings as errors."""

from __future__ import annotations

from pathlib import Path

import tomllib
from sphinx.application import Sphinx
from sphinx.config import Config

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

# Chinese comes from the catalogues in docs/locale: ci/translations.py keeps them, one per page. Sphinx
# compiles them itself.
locale_dirs = ["locale"]
gettext_compact = False
gettext_uuid = False


def _link_other_language(app: Sphinx, config: Config) -> None:
    """Each page begins with a link to the other language's start: Chinese is in zh/ below English."""
    link = '../index.html">English' if config.language == "zh_CN" else 'zh/index.html">中文'
    config.html_theme_options = {"announcement": f'<a href="{link}</a>'}


def setup(app: Sphinx) -> None:
    """Sphinx calls this; `-D language=` is known only later."""
    app.connect("config-inited", _link_other_language, priority=0)

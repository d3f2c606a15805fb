"""Keeps a page that is made from something else: written, or with --check compared."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path


def keep(page: Path, text: str, words: Sequence[str], command: str) -> int:
    """Return 1 where the page has another text, and --check was given; `command` makes it fresh."""
    fresh = page.is_file() and page.read_text(encoding="utf-8") == text
    if "--check" in words:
        if not fresh:
            print(f"{page} is stale; run: {command}", file=sys.stderr)
        return 0 if fresh else 1
    page.write_text(text, encoding="utf-8")
    return 0

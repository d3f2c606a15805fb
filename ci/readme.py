"""Print the README's command of a name: the fenced block under `<!-- command: NAME -->`."""

from __future__ import annotations

import re
import sys
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def command(name: str) -> str:
    """The block's text. Ends the program when there is none."""
    pattern = rf"<!-- command: {re.escape(name)} -->\n```\w*\n(.*?)\n```\n"
    found = re.search(pattern, README.read_text(encoding="utf-8"), re.DOTALL)
    if found is None:
        sys.exit(f"README.md has no block under <!-- command: {name} -->")
    return found[1]


if __name__ == "__main__":
    print(command(sys.argv[1]))

"""Write docs/cli.md from the command line's own help; with --check only compare.

python ci/cli_reference.py [--check]
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click
from made_page import keep

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "cli.md"
WIDTH = 80
HEAD = """# Command line

Made from the help texts by `python ci/cli_reference.py`; do not edit.
"""

sys.path.insert(0, str(ROOT / "release"))

from wheelmill.cli import cli  # noqa: E402


def commands(command: click.Command, name: str, parent: click.Context | None = None) -> Iterator[str]:
    """A section for the command and for each of its subcommands."""
    context = click.Context(
        command, info_name=name, parent=parent, terminal_width=WIDTH, **command.context_settings
    )
    level = "##" if context.parent is None or isinstance(command, click.Group) else "###"
    yield f"{level} {context.command_path}\n\n```text\n{command.get_help(context)}\n```\n"
    if isinstance(command, click.Group):
        for child in command.list_commands(context):
            found = command.get_command(context, child)
            assert found is not None, child
            yield from commands(found, child, context)


def main(words: list[str]) -> int:
    """Return 1 where the page is not what the commands say, and --check was given."""
    return keep(PAGE, "\n".join([HEAD, *commands(cli, "wheelmill")]), words, "python ci/cli_reference.py")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

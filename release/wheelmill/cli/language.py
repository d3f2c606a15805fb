"""The option of commands that speak two languages; apart, as `pick` pays for every import."""

from __future__ import annotations

import os

import click


def _language() -> str:
    """The user's language by the locale variables, as far as there are texts in it."""
    named = (os.environ.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    return "zh" if next(filter(None, named), "").lower().startswith("zh") else "en"


language_option = click.option(
    "--lang",
    "language",
    type=click.Choice(["en", "zh"]),
    default=_language,
    help="The language of the text: English or Chinese. [default: by $LC_ALL, $LC_MESSAGES, $LANG]",
)

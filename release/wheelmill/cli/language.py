"""The option of commands that speak two languages; apart, as `pick` pays for every import."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import click

from wheelmill.errors import WheelmillError

F = TypeVar("F", bound=Callable[..., Any])


def _language() -> str:
    """The user's language by the locale variables, as far as there are texts in it."""
    named = (os.environ.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    return "zh" if next(filter(None, named), "").lower().startswith("zh") else "en"


class _WrongUseError(WheelmillError):
    """A usage error without click's English frame."""

    exit_code = 2
    label = "错误："


def language_option(function: F) -> F:
    """--lang; the command gets it as `language`, and its errors are told in it as far as they know it.

    With --json they are in English: a program that reads the answer looks for the same message everywhere.
    """

    @click.option(
        "--lang",
        "language",
        type=click.Choice(["en", "zh"]),
        default=_language,
        help="The language of the text: English or Chinese. [default: by $LC_ALL, $LC_MESSAGES, $LANG]",
    )
    @wraps(function)
    def wrapped(*args: Any, language: str, **kwargs: Any) -> Any:
        try:
            return function(*args, language=language, **kwargs)
        except click.UsageError as error:
            if language == "en" or kwargs["as_json"]:
                raise
            raise _WrongUseError(error.message) from None
        except WheelmillError as error:
            if language == "zh" and not kwargs["as_json"]:
                _turn(error)
            raise

    return wrapped  # type: ignore[return-value]


def _turn(error: WheelmillError) -> None:
    """Put an error into Chinese, if it has a text in it: those about files of a checkout have none."""
    from wheelmill.pick.model import SaidError

    if isinstance(error, SaidError):
        error.turn("zh")
        error.label = "错误："

"""The option of commands that speak two languages; apart, as `pick` pays for every import."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click

from wheelmill.errors import WheelmillError

if TYPE_CHECKING:
    _Choice = click.Choice[str]
else:
    _Choice = click.Choice  # which older releases cannot be asked for its type

F = TypeVar("F", bound=Callable[..., Any])


def _language() -> str:
    """The user's language by the locale variables, as far as there are texts in it."""
    named = (os.environ.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    return "zh" if next(filter(None, named), "").lower().startswith("zh") else "en"


class _WrongUseError(WheelmillError):
    """A usage error without click's English frame."""

    exit_code = 2
    label = "错误："


_SPOKEN = {"en": "English", "zh": "中文"}


def _read(text: str) -> str | None:
    """`zh` from `zh`, `zh-CN` or `zh_CN.UTF-8`; None for a language that nothing here is told in."""
    found = re.fullmatch(r"(en|zh)(?:[_.-].*)?", text.strip().lower())
    return found[1] if found else None


class _Language(_Choice):
    """A language by its code or as locales write it."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The code; a usage error that names the languages there are."""
        found = _read(str(value))
        if found is None:
            known = " and ".join(f"{code} ({name})" for code, name in _SPOKEN.items())
            self.fail(f"{str(value)!r:.60} is not a language of this command; there are {known}.", param, ctx)
        return found


def language_option(function: F) -> F:
    """--lang; the command gets it as `language`, and its errors are told in it as far as they know it.

    With --json they are in English: a program that reads the answer looks for the same message everywhere.
    """

    @click.option(
        "--lang",
        "language",
        type=_Language(list(_SPOKEN)),
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


# What an error without Chinese words is about, by the name of its class: the room may not be imported for it.
_ABOUT = {
    "MatrixError": "矩阵有误",
    "CatalogueError": "目录中的记录有误",
    "NotesError": "发布说明有误",
    "ProjectError": "项目文件有误",
    "CellError": "项目文件中没有这样的组合",
}


def _turn(error: WheelmillError) -> None:
    """Put an error into Chinese. One about a file of a checkout has no text in it: its subject is said."""
    from wheelmill.pick.model import SaidError

    error.label = "错误："
    if isinstance(error, SaidError):
        error.turn("zh")
    else:
        about = _ABOUT.get(type(error).__name__, "无法继续")
        error.message = f"{about}；详情只有英文：\n{error.message}"


# ---------------------------------------------------------------------------------------------- click's words
def said_by_click(
    error: click.ClickException, command: click.Command | None, words: Sequence[str]
) -> WheelmillError | None:
    """A usage error that click found on a command's line, in Chinese; None where it is to stay as it is.

    click finds it before the command knows its language, so the line is looked at.
    """
    if command is None or all(one.name != "language" for one in command.params):
        return None
    words = words[: words.index("--")] if "--" in words else words
    if "--json" in words or _asked(words) != "zh":
        return None
    return _WrongUseError(_chinese(error), hint=f"所有参数和选项：`wheelmill {command.name} --help`")


def _asked(words: Sequence[str]) -> str:
    """The language that a command line names, else that of the user."""
    named = re.findall(r"(?:^|\0)--lang[=\0]([^\0]*)", "\0".join(words))
    return (_read(named[-1]) if named else None) or _language()


def _chinese(error: click.ClickException) -> str:
    """What click says; a message that is not known is quoted."""
    if isinstance(error, click.NoSuchOption):
        near = "、".join(sorted(error.possibilities or ()))
        return f"没有选项 {error.option_name}。" + (f"是否指 {near}？" if near else "")
    if isinstance(error, click.BadOptionUsage):
        needs = "requires" in error.message
        return f"选项 {error.option_name} {'需要一个值' if needs else '不带值'}。"
    if isinstance(error, click.BadParameter) and error.param is not None and error.ctx is not None:
        name = error.param.get_error_hint(error.ctx).replace("'", "")
        if isinstance(error, click.MissingParameter):
            return f"缺少 {name}。"
        if isinstance(error.param.type, _Language):
            known = "、".join(f"{code}（{told}）" for code, told in _SPOKEN.items())
            return f"{name} 的值无效；可选：{known}。"
        if isinstance(error.param.type, click.Choice):
            return f"{name} 的值无效；可选：{'、'.join(map(str, error.param.type.choices))}。"
        return f"{name} 的值无效：“{error.message}”"
    more = re.fullmatch(r"Got unexpected extra arguments? \((.*)\)", error.message, re.DOTALL)
    return f"多余的参数：{more[1]}" if more else f"命令行有误：“{error.format_message()}”"

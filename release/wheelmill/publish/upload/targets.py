"""The targets by the name that the command line gives them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from wheelmill.publish.upload.driver import Target
from wheelmill.publish.upload.errors import UploadError

TARGETS = ("twine", "github", "gitee", "gitcode")
# Where each forge's token is read from; it is printed nowhere.
TOKENS = {"github": "GITHUB_TOKEN", "gitee": "GITEE_TOKEN", "gitcode": "GITCODE_TOKEN"}
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
_URL = re.compile(r"[a-z][a-z0-9+.-]*://.+", re.ASCII)


@dataclass(frozen=True)
class Options:
    """What a target needs beyond its name."""

    repository: str | None = None
    """OWNER/NAME of a forge."""
    api: str | None = None
    """The forge's API, where it is not the public one."""
    upload_url: str | None = None
    """Where twine uploads to."""
    simple_url: str | None = None
    """Where pip reads from."""


def target_for(name: str, options: Options) -> Target:
    """The target of a name or URL. Raises UploadError for what is missing, and for a password in a URL."""
    for url in (name, options.api, options.upload_url, options.simple_url):
        if url and urlsplit(url).username is not None:
            raise UploadError(
                "a user or password in a URL would be printed",
                hint="Put them into the environment: TWINE_USERNAME and TWINE_PASSWORD, or the target's own.",
            )
    _fitting(name, options)
    if name == "twine":
        return _package_index(options)
    if name in TOKENS:
        return _forge(name, options)
    if _URL.fullmatch(name) and not name.startswith(("http://", "https://")):
        from wheelmill.publish.upload.objects import Objects

        return Objects(name, {})
    raise UploadError(
        f"{name!r} is no target",
        hint=f"Take one of {', '.join(TARGETS)}, or a URL such as s3://BUCKET/PREFIX.",
    )


def _fitting(name: str, options: Options) -> None:
    """Raise UploadError for an option of another target, and for an address that would show the token."""
    forge = name in TOKENS
    for option, value, fits in (
        ("--repository", options.repository, forge),
        ("--api", options.api, forge),
        ("--upload-url", options.upload_url, name == "twine"),
        ("--simple-url", options.simple_url, name == "twine"),
    ):
        if value and not fits:
            raise UploadError(f"{option} is not for {name}", hint=f"Leave {option} out.")
    if options.api:
        split = urlsplit(options.api)
        if split.scheme != "https" and split.hostname not in ("127.0.0.1", "::1", "localhost"):
            raise UploadError(f"{options.api} would get the token unencrypted", hint="Write https://.")


def _package_index(options: Options) -> Target:
    from wheelmill.publish.upload.package_index import PackageIndex

    upload = options.upload_url or os.environ.get("TWINE_REPOSITORY_URL")
    if not upload:
        raise UploadError(
            "no index to upload to", hint="Name it with --upload-url, or in TWINE_REPOSITORY_URL."
        )
    return PackageIndex(upload, options.simple_url)


def _forge(name: str, options: Options) -> Target:
    if options.repository is None or not _REPOSITORY.fullmatch(options.repository):
        raise UploadError(
            f"{options.repository or 'no repository'} on {name}", hint="Name it as --repository OWNER/NAME."
        )
    token = os.environ.get(TOKENS[name], "").strip()
    if not token:
        raise UploadError(
            f"{name} wants a token, and {TOKENS[name]} is not set",
            hint=f"Make one that may write releases of {options.repository}, and put it into {TOKENS[name]}.",
        )
    return _make(name)(options.repository, token, *([options.api] if options.api else []))


def _make(name: str) -> Callable[..., Target]:
    """The class of a forge; requests is imported with it."""
    if name == "github":
        from wheelmill.publish.upload.github import GitHub

        return GitHub
    if name == "gitee":
        from wheelmill.publish.upload.gitee import Gitee

        return Gitee
    from wheelmill.publish.upload.gitcode import GitCode

    return GitCode

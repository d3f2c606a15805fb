"""The one way to every target: ask, refuse, send, read back, publish. Cut anywhere, it is run again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Protocol

from wheelmill.progress import Progress, silent
from wheelmill.publish.upload.errors import PassingError, UploadError
from wheelmill.publish.upload.folder import Asset, ReleaseFolder

ATTEMPTS = 6
_FIRST_WAIT = 1.0  # seconds; doubles with each attempt
_LONGEST_WAIT = 120.0

Wait = Callable[[float], None]
Action = Literal["keep", "send", "replace"]


@dataclass(frozen=True)
class Remote:
    """A file as the target has it. `sha256` None where it does not say; `whole` False for one that was cut.

    `key` and `link` are the target's own: what it calls the file, and where it gives its bytes.
    """

    name: str
    size: int | None
    sha256: str | None
    whole: bool = True
    key: str = ""
    link: str = ""


class Target(Protocol):
    """Where a release goes. Calls may raise PassingError, and are then made again."""

    @property
    def url(self) -> str:
        """Where people find the release."""

    def wants(self, asset: Asset) -> bool:
        """Whether the target takes this file at all."""

    def open(self, release: ReleaseFolder) -> bool:
        """Find the release, or make a place for it that is not public yet. True when it is public already."""

    def there(self) -> Mapping[str, Remote]:
        """What is there now, by name."""

    def digest(self, remote: Remote) -> str:
        """The SHA-256 of a file that is there, read back where the target does not tell it."""

    def send(self, asset: Asset) -> None:
        """Send a file that is not there."""

    def remove(self, remote: Remote) -> None:
        """Remove a file that was cut."""

    def close(self, release: ReleaseFolder) -> None:
        """Make the release public."""


@dataclass(frozen=True)
class Report:
    """What an upload did. `published` is False where the release was public before."""

    url: str
    sent: tuple[str, ...]
    kept: tuple[str, ...]
    published: bool

    def to_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            "schema": 1,
            "url": self.url,
            "sent": list(self.sent),
            "kept": list(self.kept),
            "published": self.published,
        }


def upload(
    release: ReleaseFolder, target: Target, *, note: Progress = silent, wait: Wait = time.sleep
) -> Report:
    """Bring a release to a target. Raises UploadError, and then the target was not made public by this run.

    A name that is there with other bytes is refused before anything is sent.
    """
    assets = [asset for asset in release.assets if target.wants(asset)]
    public = _patient(partial(target.open, release), note, wait)
    there = _patient(target.there, note, wait)
    actions = _plan(assets, there, target, public=public, note=note, wait=wait)
    for asset in assets:
        if actions[asset.name] != "keep":
            note(f"send {asset.name} ({asset.size / 1e6:.1f} MB)")
            _send(asset, there.get(asset.name), target, note, wait)
    _read_back(assets, target, note, wait)
    if not public:
        _patient(partial(target.close, release), note, wait)
    sent = tuple(name for name, action in actions.items() if action != "keep")
    return Report(target.url, sent, tuple(name for name in actions if name not in sent), not public)


def _plan(
    assets: Iterable[Asset],
    there: Mapping[str, Remote],
    target: Target,
    *,
    public: bool,
    note: Progress,
    wait: Wait,
) -> dict[str, Action]:
    """What to do for each file; raises UploadError with every name that has other bytes there."""
    actions: dict[str, Action] = {}
    refused = []
    for asset in assets:
        remote = there.get(asset.name)
        if remote is None:
            actions[asset.name] = "send"
        elif is_cut(remote, asset) and not public:
            actions[asset.name] = "replace"
        else:
            found = _patient(partial(target.digest, remote), note, wait)
            actions[asset.name] = "keep"
            if found != asset.sha256:
                refused.append(f"{asset.name} is there with SHA-256 {found}, the release has {asset.sha256}")
    if refused:
        raise UploadError(
            f"{target.url} has other bytes under the same names: {'; '.join(refused)}",
            hint="A published name never gets other bytes: nothing was sent. Release a new version.",
        )
    return actions


def is_cut(remote: Remote, asset: Asset) -> bool:
    """Whether a file that is there is the beginning of an upload that broke off.

    One whose hash the target tells came whole: it is compared, however long it is.
    """
    shorter = remote.size is not None and remote.size < asset.size
    return not remote.whole or (shorter and remote.sha256 is None)


def _send(asset: Asset, cut: Remote | None, target: Target, note: Progress, wait: Wait) -> None:
    """Send one file in place of one that was cut, if there is one.

    After a failure what is there is asked first: the file may have come all the same.
    """
    failure: PassingError | None = None
    for attempt in range(ATTEMPTS):
        if failure is not None:
            _rest(attempt - 1, failure, note, wait)
            cut = _patient(target.there, note, wait).get(asset.name)
            if cut is not None and not is_cut(cut, asset):
                return
        try:
            if cut is not None:
                target.remove(cut)
            target.send(asset)
            return
        except PassingError as error:
            failure = error
    raise _given_up(f"{asset.name} could not be sent", failure)


def _read_back(assets: Iterable[Asset], target: Target, note: Progress, wait: Wait) -> None:
    """Raise UploadError unless every file is there as it is here."""
    there = _patient(target.there, note, wait)
    wrong = []
    for asset in assets:
        remote = there.get(asset.name)
        if remote is None:
            wrong.append(f"{asset.name} is not there")
        elif is_cut(remote, asset):
            wrong.append(f"{asset.name} was cut")
        else:
            note(f"read back {asset.name}")
            found = _patient(partial(target.digest, remote), note, wait)
            if found != asset.sha256:
                wrong.append(f"{asset.name} has SHA-256 {found}")
    if wrong:
        raise UploadError(
            f"{target.url} is not what was sent: {'; '.join(wrong)}",
            hint="It was not made public. Run the same command again; cut files are sent anew.",
        )


def _patient(call: Callable[[], Any], note: Progress, wait: Wait) -> Any:
    """The call's answer, asked for again while the server does not give one."""
    failure: PassingError | None = None
    for attempt in range(ATTEMPTS):
        if failure is not None:
            _rest(attempt - 1, failure, note, wait)
        try:
            return call()
        except PassingError as error:
            failure = error
    raise _given_up("the server does not answer", failure)


def _rest(attempt: int, failure: PassingError, note: Progress, wait: Wait) -> None:
    """Wait as the server asks, else twice as long as the last time."""
    seconds = min(_FIRST_WAIT * 2**attempt, _LONGEST_WAIT)
    if failure.after is not None:
        if failure.after > _LONGEST_WAIT:
            raise UploadError(
                f"{failure.message}: the server asks to wait {failure.after:.0f} s",
                hint="What was sent stays there: run the same command again after that time.",
            )
        seconds = failure.after
    note(f"{failure.message}; again in {seconds:.0f} s")
    wait(seconds)


def _given_up(what: str, failure: PassingError | None) -> UploadError:
    return UploadError(
        f"{what}, after {ATTEMPTS} attempts: {failure.message if failure else ''}",
        hint="What was sent stays there, and it was not made public: run the same command again to continue.",
    )

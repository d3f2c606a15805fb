"""The public index: which releases it shows, and that no name ever gets other bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from wheelmill.limits import MAX_INDEX, parse_json, read_regular
from wheelmill.publish.index import (
    Layout,
    WheelRecord,
    build_index,
    change_index,
    read_index,
)
from wheelmill.publish.index.intact import is_intact, read_manifest, shown_tree
from wheelmill.publish.index.pages import ATTESTATION
from wheelmill.publish.index.tree import Seal
from wheelmill.publish.release.session import File, ReleaseError, Session, moment
from wheelmill.publish.release.sessions import Sessions
from wheelmill.publish.sign import Signers, sign_root
from wheelmill.publish.sign.root import METADATA, is_signed_by
from wheelmill.store import Lock, Store

SIDES = (".cdx.json", ".intoto.jsonl", ATTESTATION)  # what lies beside a wheel in the index
_SIGNED_FOR = timedelta(days=31)
_SIGN_AGAIN = timedelta(days=15)  # that an index has to be good for


class PublishError(ReleaseError):
    """The public index cannot be made, or is not what was published."""


@dataclass(frozen=True)
class Shown:
    """The public index after a publish: the link, the folder behind it, and whether it changed now."""

    path: Path
    tree: Path
    wheels: int
    changed: bool

    def to_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            "index": str(self.path),
            "tree": self.tree.name,
            "wheels": self.wheels,
            "changed": self.changed,
        }


# ---------------------------------------------------------------------------------------------- whose index
def foreign(into: Path, sessions: Sessions) -> Iterator[tuple[str, str]]:
    """Why these releases cannot be published to `into`: it is something else, or somebody else's."""
    other = "name another place with --into; the index is a symbolic link that is switched whole"
    from wheelmill.publish.pipeline import INDEX

    if into.name == INDEX and into.parent.resolve() == sessions.store.root.resolve():
        yield f"{into} is the local index, which shows every wheel that is built here", other
        return
    if not into.is_symlink():
        if into.exists():
            yield f"{into} is a {'folder' if into.is_dir() else 'file'} and no index of ours", other
        return
    tree = shown_tree(into)
    if tree is None or tree.parent.name != f".{into.name}.trees":
        yield f"{into} is a link to {into.readlink()} and no index of ours", other
        return
    taken = sessions.taken_names()
    unknown = sorted(
        name
        for name, digest in wheels_in(tree).items()
        if name not in taken or taken[name][0].sha256 != digest
    )
    if unknown:
        shown = ", ".join(unknown[:3]) + (f" and {len(unknown) - 3} more" if len(unknown) > 3 else "")
        yield (
            f"the index {into} shows {shown}, which no release of {sessions.store.root} has",
            "publish from the state folder that made it (WHEELMILL_HOME), or " + other,
        )


def wheels_in(tree: Path) -> dict[str, str]:
    """File name -> SHA-256 of every wheel that an index on disk offers."""
    found = {}
    for page in sorted((tree / "simple").glob("*/index.v1+json")):
        try:
            for file in parse_json(read_regular(page, MAX_INDEX))["files"]:
                found[str(file["filename"])] = str(file["hashes"]["sha256"])
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise PublishError(
                f"{page} is no page of an index: {error}",
                hint="Put the index back from a copy; where there is none, take it away and publish again.",
            ) from None
    return found


def conflicts(files: Sequence[File], taken: Mapping[str, tuple[File, str]]) -> Iterator[str]:
    """Names among these files that were published with other bytes, and bytes published under other names."""
    names = {file.sha256: name for name, (file, _) in taken.items()}
    for file in files:
        if file.is_wheel and names.get(file.sha256, file.name) != file.name:
            yield (
                f"{file.name} is the published {names[file.sha256]} under another name: its metadata name "
                "that one, so it has to be built again"
            )
        known = taken.get(file.name)
        if file.is_wheel and known is not None and known[0].sha256 != file.sha256:
            before = f"{known[1]} as {known[0].sha256[:16]}"
            yield f"{file.name} was published with {before}, now it is {file.sha256[:16]}"


# ------------------------------------------------------------------------------------------------- publishing
@contextmanager
def alone(into: Path) -> Iterator[None]:
    """Nobody else changes this public index meanwhile, from whichever store."""
    with Lock(into.parent / f".{into.name}.publishing"):
        yield


@dataclass(frozen=True)
class How:
    """How an index is made beside its wheels: its roots, and who signs it.

    `layout` gives the roots as a release's matrix has them on the day of its publishing; the newest counts.
    `signers` is asked only for an index with a signed release.
    """

    layout: Callable[[Session], Layout]
    signers: Callable[[], Signers]

    def roots(self, releases: Iterable[Session]) -> Layout:
        """Those of the newest release, at the address that was named last."""
        ordered = sorted(releases, key=lambda one: (str(one.publishing), one.name))
        address = next((one.address for one in reversed(ordered) if one.url is not None), None)
        return replace(self.layout(ordered[-1]), address=address)

    def seal(self, into: Path, releases: Iterable[Session], now: datetime) -> Seal | None:
        """What signs the index now; None where none of its releases is signed."""
        if not any(session.signed for session in releases):
            return None
        return sign_root(self.signers(), now, now + _SIGNED_FOR, previous=into)


def show(sessions: Sessions, into: Path, how: How, now: datetime, adding: Session | None = None) -> Shown:
    """Make the index show exactly the public releases (and `adding`), by one rename.

    Only the pages that change are written. Raises PublishError, and then nothing changed, where a name was
    published with other bytes or the place is not ours; and what the index raises. Call it within `alone`.
    """
    releases = _checked_releases(sessions, into, adding)
    wanted = _records(releases, sessions.store)
    there = {record.filename: record for record in read_index(into)}
    shrunk = [name for name, record in wanted.items() if name in there and _lost(there[name], record)]
    add = [
        record
        for name, record in wanted.items()
        if name in shrunk or name not in there or _said(there[name]) != _said(record)
    ]
    remove = [name for name in there if name not in wanted] + shrunk
    yank = {
        name: record.yanked
        for name, record in wanted.items()
        if name in there and name not in shrunk and there[name].yanked != record.yanked
    }
    tree = shown_tree(into)
    if tree is not None and not (add or remove or yank):
        return Shown(into, tree, len(wanted), False)
    seal = how.seal(into, releases, now)
    built = change_index(into, how.roots(releases), add=add, remove=remove, yank=yank, seal=seal)
    return Shown(built.path, built.tree, built.wheels, built.changed)


def repair(sessions: Sessions, into: Path, how: How, now: datetime) -> Shown:
    """Make the whole index again from the store, hashing every file of it, and sign it again.

    An index that is what it should be in every byte, and that is signed for some time by the keys that the
    keyring has today, is left alone.
    """
    releases = _checked_releases(sessions, into, None)
    wanted, layout, tree = _records(releases, sessions.store), how.roots(releases), shown_tree(into)
    right = tree is not None and _is_right(into, tree, wanted, layout, sessions.store)
    if tree is not None and right and _is_signed(into, tree, releases, how, now):
        return Shown(into, tree, len(wanted), False)
    built = build_index(wanted.values(), into, layout, seal=how.seal(into, releases, now))
    return Shown(built.path, built.tree, built.wheels, built.changed)


def _is_right(
    into: Path, tree: Path, wanted: Mapping[str, WheelRecord], layout: Layout, store: Store
) -> bool:
    manifest = read_manifest(tree)
    if manifest is None or manifest.layout != layout.digest or not is_intact(into, tree.name, store.fault):
        return False
    there = {record.filename: record for record in read_index(into)}
    same = (name in there and _said(there[name]) == _said(wanted[name]) for name in wanted)
    return (
        set(there) == set(wanted)
        and all(same)
        and all(there[name].yanked == wanted[name].yanked for name in wanted)
    )


def _is_signed(into: Path, tree: Path, releases: Sequence[Session], how: How, now: datetime) -> bool:
    """Whether its signatures are those that it would get today, and hold for some time."""
    end, signed = _signed_until(tree), any(session.signed for session in releases)
    if end is None or not signed:
        return end is None and not signed
    return end - now > _SIGN_AGAIN and is_signed_by(how.signers().keyring, into, now)


def _signed_until(tree: Path) -> datetime | None:
    """When clients begin to refuse the index as stale; None for one that is not signed."""
    timestamp = tree / METADATA / "timestamp.json"
    if not timestamp.is_file():
        return None
    try:
        return moment(str(parse_json(read_regular(timestamp, MAX_INDEX))["signed"]["expires"]))
    except (OSError, ValueError, LookupError, TypeError):
        return None  # it is signed again


def _checked_releases(sessions: Sessions, into: Path, adding: Session | None) -> list[Session]:
    problems = [message for message, _ in foreign(into, sessions)]
    releases = sessions.public(str(into))
    if adding is not None:
        releases = [one for one in releases if one.name != adding.name] + [adding]
        problems += conflicts(adding.files, sessions.taken_names())
    if problems:
        raise PublishError(
            f"{into} cannot be published: " + "; ".join(problems),
            hint="A published file name never carries other bytes. Nothing was changed.",
        )
    if not releases:
        raise PublishError(
            f"{into} would be empty: it has no other release",
            hint="Yank the release instead, so that those who have pinned it still find it.",
        )
    if not all(one.signed for one in releases) and any(one.signed for one in releases):
        names = ", ".join(one.name for one in releases if not one.signed)
        raise PublishError(
            f"{into} has signed releases, and {names} is not signed",
            hint="Release it with signatures, or to an index of its own with --into.",
        )
    return releases


def _lost(before: WheelRecord, now: WheelRecord) -> bool:
    """Whether a wheel belongs to fewer lines than it did: what is added to a record only joins it."""
    return not set(before.lines) <= set(now.lines) or not set(before.canns) <= set(now.canns)


def _said(record: WheelRecord) -> tuple[object, ...]:
    """What a change of makes a record another one, its yank apart."""
    sides = {(side.suffix, side.sha256) for side in record.sides}
    return record.sha256, set(record.lines), set(record.canns), sides


def _records(releases: Sequence[Session], store: Store) -> dict[str, WheelRecord]:
    """One record per file name; a file that several releases have is as old as the first of them."""
    found: dict[str, WheelRecord] = {}
    for session in sorted(releases, key=lambda one: (str(one.publishing), one.name)):
        names = {file.name: file for file in session.files}
        for file in session.files:
            if not file.is_wheel:
                continue
            record, known = _record(file, session, names, store), found.get(file.name)
            found[file.name] = record if known is None else _joined(known, record)
    return found


def _joined(first: WheelRecord, second: WheelRecord) -> WheelRecord:
    """A file of two releases: of both lines, yanked only where both are; the rest is the first one's."""
    return replace(
        first,
        lines=tuple(dict.fromkeys((*first.lines, *second.lines))),
        canns=tuple(dict.fromkeys((*first.canns, *second.canns))),
        yanked=None if None in (first.yanked, second.yanked) else second.yanked,
    )


def _record(file: File, session: Session, names: Mapping[str, File], store: Store) -> WheelRecord:
    beside = {suffix: names[f"{file.name}{suffix}"] for suffix in SIDES if f"{file.name}{suffix}" in names}
    return WheelRecord.from_wheel(
        store.get(file.sha256),
        moment(str(session.publishing)),
        filename=file.name,
        sha256=file.sha256,
        yanked=None if session.yanked is None else session.yanked.reason,
        lines=(session.branch,),
        canns=(cann,) if (cann := session.facts["checked"]["said"].get("cann")) else (),  # companions, too
        sides={suffix: store.get(side.sha256) for suffix, side in beside.items()},
    )

"""`wheelmill verify`, `keys`: check what was released, and keep the keys that sign it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wheelmill.cli import described, output_options, project
from wheelmill.cli.options import EngineOptions
from wheelmill.console import Console
from wheelmill.errors import WheelmillError
from wheelmill.project import PACKAGED, user_folder

if TYPE_CHECKING:
    from collections.abc import Callable

    from wheelmill.publish.sign import Keyring, Verified

_DAY = click.DateTime(["%Y-%m-%d"])
_keyring_option = click.option(
    "--keyring",
    "keyring_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    envvar="WHEELMILL_KEYRING",
    show_envvar=True,
    help="The public keys to trust. [default: release/keys.yaml of the checkout, else the one installed]",
)


@click.command()
@click.argument("path", type=click.Path(path_type=Path), metavar="WHEEL|RELEASE|INDEX")
@_keyring_option
@click.option(
    "--on", "day", type=_DAY, metavar="DATE", help="Judge as of the end of this day (UTC). [default: now]"
)
@click.option(
    "--state",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Where to remember the newest index seen, so that an older one is refused. "
    "[default: wheelmill/verified in $XDG_STATE_HOME or ~/.local/state]",
)
@click.option("--rebuild", is_flag=True, help="Also build every wheel again and compare the bytes.")
@output_options
def verify(
    path: Path,
    keyring_file: Path | None,
    day: datetime | None,
    state: Path | None,
    rebuild: bool,
    console: Console,
) -> int:
    """Check that a wheel, a release folder or an index is what its signers released, whole and unchanged.

    Nothing is asked of the network. A wheel is checked by the statements that lie beside it.

    Exit code: 0 verified; 1 refused, with what was expected, what was found, and what to do; 4 a wheel cannot
    be built again here.
    """
    from wheelmill.publish.sign import VerifyError

    today = datetime.now(timezone.utc)
    now = today if day is None else datetime.combine(day.date(), time.max, timezone.utc)
    keyring = _keyring(keyring_file)
    try:
        with console.step(f"verify {path.name or path}"):
            found = _kind(path)(path, keyring, now, state)
    except VerifyError as error:
        console.result(
            {
                "schema": 1,
                "verified": False,
                "path": str(path),
                "what": error.what,
                "expected": error.expected,
                "found": error.found,
                "hint": error.hint,
            }
        )
        raise
    console.say(_report(found))
    same = [_rebuild(wheel, console) for wheel in _wheels(found)] if rebuild else []
    console.result({**found.to_json(), **({"rebuilt": same} if rebuild else {})})
    return 0 if all(one["same"] for one in same) else 1


def _kind(path: Path) -> Callable[[Path, Keyring, datetime, Path | None], Verified]:
    """What checks such a thing. Raises WheelmillError for what is none of the three."""
    from wheelmill.publish import sign

    if path.suffix == ".whl":
        return lambda path, keyring, now, state: sign.verify_wheel(path, keyring, now)
    if any((path / name).exists() for name in ("release.intoto.jsonl", "SHA256SUMS", "release.json")):
        return lambda path, keyring, now, state: sign.verify_release(path, keyring, now)
    if any((path / name).is_dir() for name in ("metadata", "simple")):
        return lambda path, keyring, now, state: sign.verify_index(path, keyring, now, state or _state())
    found = "nothing"
    if path.exists():
        found = "a folder without any of their files" if path.is_dir() else "a file"
    raise WheelmillError(
        f"{path} is no wheel, release or index: found {found}",
        hint="name a .whl file, a folder with release.intoto.jsonl, or an index's with simple/ and metadata/",
    )


def _state() -> Path:
    return user_folder("XDG_STATE_HOME", "~/.local/state") / "wheelmill" / "verified"


def _keyring(given: Path | None) -> Keyring:
    """The keyring, which has at least one key."""
    from wheelmill.publish.sign import KeyringError, load_keyring

    keyring = load_keyring(given or _default_keyring())
    if not keyring.keys:
        raise KeyringError(
            f"{keyring.path} has no key yet, so nothing can be verified with it",
            hint="name the project's keyring with --keyring FILE; maintainers begin one with: "
            "wheelmill keys new NAME",
        )
    return keyring


def _default_keyring() -> Path:
    from wheelmill.publish.sign.keyring import FILE

    file = described()
    root = project().root if file is None else file.root
    return PACKAGED.with_name(FILE.name) if root is None or not (root / FILE).exists() else root / FILE


def _own_keyring() -> Path:
    """The checkout's keyring, to be changed: the one that a package carries is replaced with the package."""
    from wheelmill.publish.sign.keyring import FILE

    file = described()
    root = project().root if file is None else file.root
    if root is None:
        raise WheelmillError(
            "keys are added to the keyring of a checkout, and here is none.",
            hint="Run this in the project's checkout, or name a keyring with --keyring FILE.",
        )
    return root / FILE


def _report(found: Verified) -> str:
    wheels = f", {len(found.wheels)} wheels" if found.kind != "wheel" else ""
    lines = [
        f"verified: {found.kind} {found.path.name or found.path} ({found.files} files{wheels})",
        f"  signed     {found.on:%Y-%m-%d %H:%M} UTC by {', '.join(found.signers)}",
        *(f"  {name:<10} {_words(value)}" for name, value in found.facts.items() if value not in ("", None)),
        *(f"  note       {text}" for text in found.warnings),
    ]
    return "\n".join(lines)


def _words(value: Any) -> str:
    """A fact for people, such as a waiver, which has several."""
    if not isinstance(value, Mapping):
        return str(value)
    return "; ".join(f"{name} {value[name]}" for name in value)


def _wheels(found: Verified) -> list[Path]:
    """The wheels of what was verified, as files."""
    from wheelmill.publish.index.pages import FILES

    if found.kind == "wheel":
        return [found.path]
    root = found.path.resolve()
    if found.kind == "release":
        return [root / name for name in sorted(found.wheels)]
    return [root / FILES / sha256 / name for name, sha256 in sorted(found.wheels.items())]


def _rebuild(wheel: Path, console: Console) -> dict[str, Any]:
    from wheelmill.cli.audit import reproduced, reproduction_text

    again = reproduced(wheel, EngineOptions(), console)
    console.say(f"{wheel.name}: {reproduction_text(again)}")
    return again.to_json()


# ------------------------------------------------------------------------------------------------------ keys
@click.group()
def keys() -> None:
    """Make, list and replace the keys that sign releases and indexes."""


def _keys_folder(given: Path | None) -> Path:
    from wheelmill.publish.sign.signers import key_folder

    return key_folder() if given is None else given.absolute()


_folder_option = click.option(
    "--folder",
    type=click.Path(path_type=Path),
    help="Where private keys lie. [default: $WHEELMILL_KEYS, else ~/.config/wheelmill/keys]",
)
_until_option = click.option("--until", type=_DAY, metavar="DATE", help="Its last day. [default: in a year]")


def _until(given: datetime | None, first: date) -> date:
    return first + timedelta(days=365) if given is None else given.date()


def _today() -> date:
    return datetime.now(timezone.utc).date()


@keys.command("new")
@click.argument("name")
@click.option(
    "--role",
    "roles",
    multiple=True,
    type=click.Choice(["root", "release", "index"]),
    help="What it may sign; can be given again. [default: all]",
)
@click.option("--from", "since", type=_DAY, metavar="DATE", help="Its first day. [default: today]")
@_until_option
@_folder_option
@_keyring_option
@output_options
def new(
    name: str,
    roles: tuple[str, ...],
    since: datetime | None,
    until: datetime | None,
    folder: Path | None,
    keyring_file: Path | None,
    console: Console,
) -> None:
    """Make a key NAME: its public part goes into the keyring, its private part into a file only you can read.

    A passphrase in $WHEELMILL_KEY_PASSPHRASE encrypts the file.
    """
    from wheelmill.publish.sign import Keyring, load_keyring
    from wheelmill.publish.sign.keyring import ROLES
    from wheelmill.publish.sign.keys import new_key

    path = keyring_file or _own_keyring()
    keyring = load_keyring(path) if path.exists() else Keyring(path)
    first = _today() if since is None else since.date()
    ordered = tuple(role for role in ROLES if role in roles) or ROLES
    made = new_key(keyring, name, ordered, first, _until(until, first), _keys_folder(folder))
    private, told = str(made.private), made.key.to_json()
    console.result({"schema": 1, "key": told, "private": private, "keyring": str(path)})
    console.say(f"{made.key.name}  {made.key.id[:16]}  {made.key.since} to {made.key.until}")
    console.say(f"private key  {made.private}  (back it up; nobody can make it again)")
    console.say(f"keyring      {path}  (commit it)")


@keys.command("list")
@click.option(
    "--on", "day", type=_DAY, metavar="DATE", help="Tell what is in force on this day. [default: today]"
)
@_folder_option
@_keyring_option
@output_options
def list_keys(day: datetime | None, folder: Path | None, keyring_file: Path | None, console: Console) -> None:
    """List the keys: which are in force, until when, and whose private part is here."""
    from wheelmill.publish.sign import load_keyring
    from wheelmill.publish.sign.signers import variable

    keyring, on = load_keyring(keyring_file or _default_keyring()), _today() if day is None else day.date()
    home = _keys_folder(folder)
    rows = []
    for key in keyring.keys:
        here = (home / f"{key.name}.pem").exists() or variable(key.name) in os.environ
        rows.append(
            {**key.to_json(), "in_force": key.fault(on) is None, "fault": key.fault(on), "here": here}
        )
    console.result({"schema": 1, "on": on.isoformat(), "thresholds": dict(keyring.thresholds), "keys": rows})
    table = [
        (
            row["name"],
            row["id"][:16],
            ", ".join(row["roles"]),
            row["from"],
            row["until"],
            row["fault"] or "in force",
            "here" if row["here"] else "",
        )
        for row in rows
    ]
    console.table(
        ("name", "id", "roles", "from", "until", f"on {on}", "private"), table, whole=("id", "name")
    )
    needed = ", ".join(f"{role} {number}" for role, number in keyring.thresholds.items())
    console.say(f"signers needed: {needed}")


@keys.command("rotate")
@click.argument("name")
@click.option("--to", "successor", metavar="NAME", help="The new key's name. [default: NAME-2, NAME-3, ...]")
@_until_option
@click.option(
    "--overlap",
    type=click.IntRange(min=0),
    default=30,
    show_default=True,
    metavar="DAYS",
    help="How long the old key stays in force: sign the index once in that time, so that users can follow.",
)
@click.option(
    "--revoke", "reason", metavar="REASON", help="Revoke the old key: nothing it signed is believed."
)
@_folder_option
@_keyring_option
@output_options
def rotate(
    name: str,
    successor: str | None,
    until: datetime | None,
    overlap: int,
    reason: str | None,
    folder: Path | None,
    keyring_file: Path | None,
    console: Console,
) -> None:
    """Replace the key NAME by a new one with the same roles."""
    from wheelmill.publish.sign import keys as sign_keys
    from wheelmill.publish.sign import load_keyring

    keyring, today = load_keyring(keyring_file or _own_keyring()), _today()
    made = sign_keys.rotate(
        keyring,
        name,
        successor,
        today,
        _until(until, today),
        _keys_folder(folder),
        overlap=timedelta(days=overlap),
        reason=reason,
    )
    old = made.replaced
    assert old is not None
    console.result(
        {"schema": 1, "key": made.key.to_json(), "replaced": old.to_json(), "private": str(made.private)}
    )
    ended = f"revoked ({reason})" if reason else f"in force until {old.until}"
    console.say(f"{made.key.name}  {made.key.id[:16]}  {made.key.since} to {made.key.until}")
    console.say(f"{old.name}  {ended}")
    console.say(f"private key  {made.private}  (back it up)")
    console.say(f"keyring      {keyring.path}  (commit it)")
    what = "sign its releases and the index again" if reason else f"sign the index again by {old.until}"
    console.say(f"next         {what}")

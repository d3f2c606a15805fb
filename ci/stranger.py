"""Run the README's commands in a bare Debian root, as a user who has just cloned the last commit.

    nox -s stranger                         both commands; root, minutes, some 5 GB of disk
    nox -s stranger -- --suite bookworm     on another Debian than this machine's
    nox -s stranger -- --command main       one of them

The root has Debian's base and what the README names, from the mirror that this machine's apt is set to. pip's
settings, proxies and certificates of this machine hold there. A test that names a tool it needs beyond that
list is left out; any other that cannot run is a failure.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import bare
import readme

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "release"))

from wheelmill.make.debian import DebianError, mirror  # noqa: E402
from wheelmill.make.pip_site import PipSite, read_site  # noqa: E402

USER, HOME = 1000, "/home/stranger"
PATH = "/usr/local/bin:/usr/bin:/bin"


def make_root(root: Path, suite: str) -> None:
    """Debian's base, the packages that the README names, a user, and a clone of the last commit."""
    packages = ",".join(bare.NAMED)
    words = [
        "mmdebstrap",
        "--quiet",
        "--variant=minbase",
        f"--include={packages}",
        suite,
        str(root),
        mirror(),
    ]
    subprocess.run(words, check=True, env={**os.environ, "TMPDIR": str(root.parent), "LC_ALL": "C.UTF-8"})
    for name, line in (
        ("passwd", f"stranger:x:{USER}:{USER}::{HOME}:/bin/bash"),
        ("group", f"stranger:x:{USER}:"),
    ):
        with (root / "etc" / name).open("a") as file:
            file.write(line + "\n")
    for name in ("resolv.conf", "hosts"):  # how this machine finds others
        shutil.copy(Path("/etc", name), root / "etc" / name)
    clone = root / HOME.lstrip("/") / "wheelmill"
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", f"file://{ROOT}", clone], check=True)
    subprocess.run(["chown", "-R", f"{USER}:{USER}", clone.parent], check=True)


def enter(root: Path, site: PipSite, text: str, variables: dict[str, str]) -> int:
    """Run a shell's words as the user in the root; the exit code."""
    lines = ["set -eu", f"mount --rbind {root} {root}"]
    for mount in site.mounts():
        target = root / mount.target.lstrip("/")
        if Path(mount.source).is_dir():
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch()
        lines.append(shlex.join(["mount", "--bind", "-o", "ro", str(mount.source), str(target)]))
    lines += [
        f"mount -t proc proc {root}/proc",
        f"mount --rbind /dev {root}/dev",
        f"mount --rbind /sys {root}/sys",
        # No chroot: in one, a process cannot make a namespace, which a test does.
        f"cd {root}",
        "pivot_root . mnt",
        "umount -l /mnt",
    ]
    known = {"PATH": PATH, "HOME": HOME, "USER": "stranger", "LANG": "C.UTF-8", **site.environment()}
    settings = [f"{name}={value}" for name, value in {**known, **variables}.items()]
    user = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"]
    inside = ["bash", "-euo", "pipefail", "-c", f"cd {HOME}/wheelmill\n{text}"]
    lines.append(shlex.join(["exec", *user, "env", "-i", *settings, *inside]))
    unshare = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private"]
    return subprocess.run([*unshare, "sh", "-c", "\n".join(lines)], check=False).returncode


def main(words: list[str]) -> int:
    """Run the commands; 1 when one failed, and then the root is kept."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--suite", default=_own_suite(), help="the Debian release [default: this machine's]")
    parser.add_argument("--command", choices=("main", "tests"), action="append", help="one of the commands")
    parser.add_argument("--keep", action="store_true", help="leave the root in any case")
    chosen = parser.parse_args(words)
    if os.getuid() != 0 or shutil.which("mmdebstrap") is None:
        sys.exit("ci/stranger.py needs root and mmdebstrap\n  next: as root: bash ci/machine.sh")
    beyond = subprocess.run(
        ["bash", ROOT / "ci/machine.sh", "--beyond"], check=True, capture_output=True, text=True
    )
    variables = {
        "CI": "true",
        "CI_WITHOUT": " ".join([*beyond.stdout.split(), "python3.11", "root"]),
        "CI_LEFT_OUT": f"{HOME}/left-out",
    }
    home = Path(os.environ.get("WHEELMILL_HOME", ROOT / ".wheelmill"))
    home.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="stranger-", dir=home))
    root, site, code = folder / "root", read_site(), 1
    folder.chmod(0o755)
    try:
        make_root(root, chosen.suite)
        for name in chosen.command or ("main", "tests"):
            text = readme.command(name)
            print(f'\n== README command "{name}" on Debian {chosen.suite}\n{text}', flush=True)
            code = enter(root, site, text, variables)
            if code:
                print(f'README command "{name}" failed there with exit code {code}', file=sys.stderr)
                break
    except DebianError as error:
        sys.exit(f"{error.message}\n  next: {error.hint}")
    finally:
        if code == 0 and not chosen.keep:
            shutil.rmtree(folder)
        else:
            print(f"the root is kept: {root}", file=sys.stderr)
    return code


def _own_suite() -> str:
    """This machine's release; Debian's newest where it runs something else."""
    pairs = dict(line.partition("=")[::2] for line in Path("/etc/os-release").read_text().splitlines())
    return pairs.get("VERSION_CODENAME", "stable") if pairs.get("ID") == "debian" else "stable"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

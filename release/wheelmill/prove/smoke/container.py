"""Smoke runs in a container on a Debian root's Python, for the other architecture under emulation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from wheelmill.errors import WheelmillError
from wheelmill.make import containers, images
from wheelmill.make.containers import Container, Mount, Spec
from wheelmill.make.debian import read_roots
from wheelmill.make.pip_site import read_site
from wheelmill.make.toolchain.compiler import host_arch
from wheelmill.prove.smoke.places import Session, Target

_PATH = "/usr/local/bin:/usr/bin:/bin"
_PYTHON = Path("/usr/bin/python3")
_EMULATED = 30.0  # measured: 8 to 30 times slower, importing torch at its worst


class InContainer:
    """A run image of the target's Python and arch; made from the Debian mirror when it is not there."""

    def __init__(self, shop: images.ImageShop) -> None:
        self._shop = shop

    def cannot_run(self, target: Target) -> str | None:
        """See Place: no such Python in a root, or no engine."""
        pythons = [
            root.python
            for root in read_roots(self._shop.folder / "base" / "roots.yaml")
            if (root.purpose, root.arch) == ("run", target.arch)
        ]
        if target.python not in pythons:
            listed = ", ".join(pythons) or "none"
            return f"no run image has Python {target.python} for {target.arch} (there are: {listed})"
        try:
            containers.connect()
        except WheelmillError as error:
            return f"{target.name} needs a container on this {host_arch()} machine: {error.message}"
        return None

    @contextmanager
    def open(self, target: Target, home: Path, readable: Sequence[Path]) -> Iterator[Session]:
        """See Place. The network is this machine's: the wheels come from an index on its loopback."""
        client = containers.connect()
        containers.sweep(client)
        image = images.ensure_root_image("run", target.arch, self._shop, python=target.python)
        site = read_site()
        containers.hand_over(home)
        spec = Spec(
            image.id,
            mounts=(
                Mount(home, str(home), writable=True),
                *(Mount(path, str(path)) for path in readable),
                *site.mounts(),
            ),
            user=containers.unprivileged_user(),
            network="host",
        )
        environment = {**site.environment(), "PATH": _PATH, "HOME": str(home), "LANG": "C.UTF-8"}
        with Container(client, spec) as container:
            slowness = 1.0 if target.arch == host_arch() else _EMULATED
            yield Session(_PYTHON, environment, container.run_logged, slowness)

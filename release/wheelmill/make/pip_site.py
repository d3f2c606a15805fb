"""What pip needs at this site, for use inside containers, which inherit none of it.

A site with its own index, proxy or certificate authority has it in pip's configuration and in environment
variables. They are handed to a container when it runs, and to an image's throw-away stage; none keeps them.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from wheelmill.make.containers import Mount

CA_IN_CONTAINER = "/etc/ssl/certs/ca-certificates.crt"

_CA_VARIABLES = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE")
_PROXY_VARIABLES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
_SYSTEM_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")
_SETTING = re.compile(r"^(global|install|:env:)\.([a-z0-9-]+)=(.*)$")

# Settings that name a place of this machine for pip's own use, or say where a host's environment is.
_NOT_HANDED = ("cert", "cache-dir", "log", "prefix", "target", "user", "python", "require-virtualenv")


@dataclass(frozen=True)
class PipSite:
    """pip's settings by option (`index-url`), proxies by variable, the bundle of certificate authorities."""

    settings: Mapping[str, str]
    proxies: Mapping[str, str]
    bundle: Path | None

    def environment(self) -> dict[str, str]:
        """Variables for a container in which `mounts()` are there."""
        variables = {f"PIP_{name.upper().replace('-', '_')}": value for name, value in self.settings.items()}
        trusted = dict.fromkeys(_CA_VARIABLES, CA_IN_CONTAINER) if self.bundle is not None else {}
        return {**variables, **self.proxies, **trusted, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}

    def mounts(self) -> tuple[Mount, ...]:
        """The bundle, and the folders of this machine that pip is told to look into, at the same paths."""
        folders = dict.fromkeys(folder for value in self.settings.values() for folder in _folders(value))
        bundle = (Mount(self.bundle, CA_IN_CONTAINER),) if self.bundle is not None else ()
        return (*bundle, *(Mount(folder, str(folder)) for folder in folders))

    def files(self) -> dict[str, bytes]:
        """The same as files of a build context, less this machine's folders, which a build cannot reach."""
        lines = []
        for name, value in self.settings.items():
            words = [word for word in value.split() if _path(word) is None]
            if words:
                lines.append(f"{name} = {' '.join(words)}\n")
        found = {"pip.conf": ("[global]\n" + "".join(lines)).encode()}
        if self.bundle is not None:
            found["ca.crt"] = self.bundle.read_bytes()
        return found


def read_site(environment: Mapping[str, str] | None = None) -> PipSite:
    """Ask this interpreter's pip for its configuration, and the environment for proxies and certificates."""
    environment = os.environ if environment is None else environment
    settings = dict(_settings(environment))
    named = [settings.pop("cert", None), *(environment.get(name) for name in _CA_VARIABLES), *_SYSTEM_BUNDLES]
    bundle = next((Path(name) for name in named if name and Path(name).is_file()), None)
    return PipSite(
        settings={name: value for name, value in settings.items() if name not in _NOT_HANDED},
        proxies={name: environment[name] for name in _PROXY_VARIABLES if environment.get(name)},
        bundle=bundle,
    )


def _settings(environment: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    """(option, value) from pip's files, then from PIP_* variables, which win."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=dict(environment))
    for line in done.stdout.splitlines() if done.returncode == 0 else ():
        found = _SETTING.match(line)
        if found is not None and found[1] != ":env:":
            yield found[2], str(ast.literal_eval(found[3])).strip()
    for name, value in environment.items():
        if name.startswith("PIP_") and name != "PIP_CONFIG_FILE":
            yield name[4:].lower().replace("_", "-"), value


def _folders(value: str) -> Iterable[Path]:
    """What must be there for these words: a folder itself; of an index its parent, where its links lead."""
    for word in value.split():
        path = _path(word)
        if path is not None and path.exists():
            yield path if word.startswith("/") else path.parent


def _path(word: str) -> Path | None:
    """The absolute path that a word names, as itself or as a file: address."""
    if word.startswith("/"):
        return Path(word)
    parts = urlsplit(word)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None

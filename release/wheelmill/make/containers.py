"""The container engine: reaching it, its errors in plain words, containers that cannot outlive their process.

The docker SDK is imported when something is asked of the engine, never before: most commands need none.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from wheelmill.errors import StoppedError, WheelmillError
from wheelmill.limits import Limits
from wheelmill.make.process import Lines, TimedOutError
from wheelmill.store.holder import mark, runs

if TYPE_CHECKING:
    import docker

# Every container and image of this project carries it; its value on a container says which process it is for.
LABEL = "wheelmill"
KEPT_LABEL = "wheelmill.kept"

_READY = "on a Debian-like machine, as root: bash ci/machine.sh"
_MOST_PROCESSES = 4096
# Control groups version 2 and 1; the other one is not there.
_MEMORY_EVENTS = ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control")
_KILLED = 137  # exit code of a process whose container ended under it
_GONE_ATTEMPTS, _GONE_PAUSE = 100, 0.1  # seconds
_WATCH_PAUSE = 0.1  # seconds between two looks at whether a command must end
_TIMEOUT = 600  # seconds that the engine may take to answer; a large layer takes minutes on a slow disk

# What the engine says (it passes on the words of kernel and runtime), what that means, and what to do next.
_MEANINGS = (
    (
        r"no space left on device|disk quota exceeded",
        "the disk is full",
        "free some space (docker system df), then run the same command again",
    ),
    (
        r"container name .* is already in use",
        "a container of this name is there already",
        "another build in the same folder is running, or left its container on purpose (docker rm -f NAME)",
    ),
    (
        r"exec format error|container \S+ is not running",
        "this machine cannot run programs of the image's architecture",
        f"register the emulator; {_READY}",
    ),
    (
        r"no such host|dial tcp|i/o timeout|connection refused|tls:|x509|TLS handshake",
        "the registry cannot be reached",
        "where there is no registry, make the base from the machine's Debian mirror: `--base debian`",
    ),
    (
        r"pull access denied|repository does not exist|manifest unknown|no matching manifest",
        "the registry has no such image for this architecture",
        "look at the name and tag, or take `--base debian`",
    ),
)


class ContainerError(WheelmillError):
    """The container engine cannot be reached, refused, or has no such image."""


@dataclass(frozen=True)
class Mount:
    """A folder or file of this machine at a path of the container; read-only unless `writable`."""

    source: Path
    target: str
    writable: bool = False

    @property
    def bind(self) -> str:
        """As the engine's API writes it."""
        return f"{self.source.absolute()}:{self.target}:{'rw' if self.writable else 'ro'}"


@dataclass(frozen=True)
class Spec:
    """One container. `user` is `uid:gid`; `network` is "none", or "host" for what this machine reaches.

    `keep`: it stays when its use failed.
    """

    image: str
    mounts: tuple[Mount, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    limits: Limits | None = None
    user: str = "1000:1000"
    network: Literal["none", "host"] = "none"
    name: str | None = None
    keep: bool = False


def connect() -> docker.DockerClient:
    """A client of the engine that $DOCKER_HOST or the default socket names. Raises ContainerError."""
    try:
        import docker
    except ImportError as error:
        raise ContainerError(
            "the docker engine needs the docker SDK for Python, which is not installed",
            hint="in the checkout: pip install -e '.[make]'",
        ) from error
    with explained("reach the docker engine"):
        return docker.from_env(timeout=_TIMEOUT)


@contextmanager
def explained(action: str) -> Iterator[None]:
    """Turn what the docker SDK raises into one ContainerError: what was tried, what was found, what to do."""
    import docker.errors
    import requests.exceptions

    try:
        yield
    except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
        raise _explain(action, error) from error


def _explain(action: str, error: Exception) -> ContainerError:
    where = os.environ.get("DOCKER_HOST", "/var/run/docker.sock")
    number = _errno(error)
    if number in (errno.ENOENT, errno.ECONNREFUSED):
        return ContainerError(
            f"cannot {action}: no docker engine answers at {where}", hint=f"start dockerd; {_READY}"
        )
    if number in (errno.EACCES, errno.EPERM):
        return ContainerError(
            f"cannot {action}: user {os.getuid()} may not use {where}",
            hint="join the group that owns it (usermod -aG docker $USER, then log in again), or run as root",
        )
    text = str(getattr(error, "explanation", None) or error).strip()
    general = ContainerError(f"cannot {action}: {text}", hint="`docker info` shows the state of the engine")
    return meaning(action, text) or general


def meaning(action: str, text: str) -> ContainerError | None:
    """The error for words of the engine that are understood; None for others."""
    for pattern, found, hint in _MEANINGS:
        line = next((line for line in text.splitlines() if re.search(pattern, line, re.IGNORECASE)), None)
        if line is not None:
            return ContainerError(f"cannot {action}: {found} ({line.strip()})", hint=hint)
    return None


def _errno(error: BaseException) -> int | None:
    """The errno of the socket error that a requests or docker exception wraps, however deep."""
    seen: list[object] = [error]
    for item in seen:
        if isinstance(item, OSError) and item.errno is not None:
            return item.errno
        if isinstance(item, BaseException):
            nested = (item.__cause__, item.__context__, *item.args)
            known = {id(each) for each in seen}
            seen += [each for each in nested if isinstance(each, BaseException) and id(each) not in known]
    return None


# ------------------------------------------------------------------------------------------ whose container
def name_for(key: str, work: Path) -> str:
    """The name of the container that compiles a bundle in a work folder, `wheelmill-KEY-PLACE`.

    An engine serves all checkouts of a machine, and may serve several machines: each compiles for itself. In
    one work folder only one build is at work at a time.
    """
    place = f"{socket.gethostname()}:{work.resolve()}"
    return f"wheelmill-{key[:16]}-{hashlib.sha256(place.encode()).hexdigest()[:8]}"


def owner(pid: int | None = None) -> str:
    """A process (this one), such that neither another nor one after a reboot can be taken for it."""
    return mark(os.getpid() if pid is None else pid) or ""


def is_orphan(label: str) -> bool:
    """Whether the process that a container was made for is known to have ended.

    Only this host and PID namespace are judged: the engine may serve others, whose processes cannot be seen.
    """
    return runs(label) is False


def sweep(client: docker.DockerClient) -> list[str]:
    """Remove the containers of killed processes, except those kept on purpose; return their names."""
    removed = []
    with explained("list containers"):
        found = client.api.containers(all=True, filters={"label": LABEL})
    for container in found:
        labels = container.get("Labels") or {}
        if KEPT_LABEL not in labels and is_orphan(labels[LABEL]):
            remove(client, container["Id"])
            removed.append(container["Names"][0].lstrip("/") if container["Names"] else container["Id"][:12])
    return removed


def remove(client: docker.DockerClient, container: str) -> None:
    """Kill and remove it, and wait until it is gone; nothing happens when it is gone already."""
    import docker.errors

    with explained(f"remove container {container}"):
        for _ in range(_GONE_ATTEMPTS):
            try:
                client.api.remove_container(container, force=True, v=True)
            except docker.errors.NotFound:
                return
            except docker.errors.APIError as error:
                if error.status_code != HTTPStatus.CONFLICT:  # else: the engine is just removing it
                    raise
                time.sleep(_GONE_PAUSE)


# --------------------------------------------------------------------------------------------- running some
class Container:
    """A running container that ends with this process, even when that is killed: `with Container(...) as c:`.

    Its first process is `cat` on a stdin which the engine closes when this process's end of it is closed.
    When `cat` ends, the kernel kills all other processes of the container, and the engine removes it.
    """

    def __init__(self, client: docker.DockerClient, spec: Spec) -> None:
        self._client = client
        self._spec = spec
        self._stdin: Any = None
        self.id = ""

    def __enter__(self) -> Container:
        try:
            with explained(f"start a container of {self._spec.image}"):
                self.id = self._create()
                self._stdin = self._client.api.attach_socket(self.id, params={"stdin": 1, "stream": 1})
                self._client.api.start(self.id)
            self._require_shell()
        except BaseException:
            self._end()
            raise
        return self

    def _require_shell(self) -> None:
        """A foreign program without an emulator shows nowhere else: the container starts, and is gone."""
        action = f"start a container of {self._spec.image}"
        try:
            code, output = self.run(["true"])
        except ContainerError as error:
            code, output = _KILLED, error.message
        if code:
            raise ContainerError(
                f"cannot {action}: this machine cannot run programs of the image's architecture, or "
                f"it has no shell ({output.strip() or 'it ended at once'})",
                hint=f"register the emulator; {_READY}",
            )

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is None or not self._spec.keep:
            self._end()

    def _end(self) -> None:
        if self._stdin is not None:
            self._stdin.close()
        if self.id:
            remove(self._client, self.id)

    def _create(self) -> str:
        api, spec = self._client.api, self._spec
        limits: dict[str, Any] = _limit_options(spec.limits)
        host = api.create_host_config(
            binds=[mount.bind for mount in spec.mounts],
            network_mode=spec.network,
            auto_remove=not spec.keep,
            read_only=True,
            tmpfs={"/tmp": "exec,mode=1777"},
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            pids_limit=_MOST_PROCESSES,
            **limits,
        )
        made = api.create_container(
            spec.image,
            ["sleep", "infinity"] if spec.keep else ["cat"],
            entrypoint="",
            name=spec.name,
            user=spec.user,
            environment={"HOME": "/tmp", **spec.environment},
            labels={LABEL: owner(), **({KEPT_LABEL: "yes"} if spec.keep else {})},
            stdin_open=True,
            host_config=host,
        )
        return str(made["Id"])

    def run_logged(
        self,
        command: Sequence[str],
        *,
        log: Path,
        environment: Mapping[str, str],
        timeout: float,
        on_line: Callable[[str], None],
        stop: threading.Event | None = None,
    ) -> int:
        """As engines.process.run_logged, inside: umask 022, output to `log` and line by line to `on_line`.

        After a time-out (TimedOutError) or once `stop` is set (StoppedError) the container is gone.
        """
        stopped = threading.Event() if stop is None else stop
        with log.open("ab", buffering=0) as out, self._watched(timeout, stopped) as removed:
            out.write(f"$ {' '.join(command)}\n".encode())
            try:
                code = self._run(command, environment, Lines(out.write, on_line))
            except ContainerError:
                if not removed.is_set():
                    raise
        if removed.is_set():
            raise StoppedError if stopped.is_set() else TimedOutError
        return code

    def run(self, command: Sequence[str]) -> tuple[int, str]:
        """Run a short command: (exit code, output)."""
        output: list[bytes] = []
        code = self._run(command, {}, output.append)
        return code, b"".join(output).decode("utf-8", "replace")

    def _run(
        self, command: Sequence[str], environment: Mapping[str, str], write: Callable[[bytes], None]
    ) -> int:
        api = self._client.api
        words = ["/bin/sh", "-c", 'umask 022; exec "$@"', "sh", *command]
        with explained(f"run {command[0]} in a container of {self._spec.image}"):
            made = api.exec_create(self.id, words, environment=dict(environment))
            for chunk in api.exec_start(made["Id"], stream=True):
                write(chunk)
            code = api.exec_inspect(made["Id"])["ExitCode"]
        return _KILLED if code is None else int(code)

    @contextmanager
    def _watched(self, seconds: float, stop: threading.Event) -> Iterator[threading.Event]:
        """Kill the container after so long, or when `stop` is set; the event tells that this happened."""
        removed, ended = threading.Event(), threading.Event()
        deadline = time.monotonic() + seconds

        def watch() -> None:
            while not ended.wait(_WATCH_PAUSE):
                if stop.is_set() or time.monotonic() >= deadline:
                    removed.set()
                    remove(connect(), self.id)
                    return

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield removed
        finally:
            ended.set()
            watcher.join()

    def out_of_memory(self) -> bool:
        """Whether the kernel killed a process in it at the memory limit. (The engine's flag comes late.)"""
        _, counters = self.run(["cat", *_MEMORY_EVENTS])
        return any(int(count) for count in re.findall(r"^oom_kill (\d+)", counters, re.MULTILINE))


def unprivileged_user() -> str:
    """`uid:gid` for processes in containers: this user, so that files have the right owner, never root."""
    return f"{os.getuid()}:{os.getgid()}" if os.getuid() else "1000:1000"


def hand_over(folder: Path) -> None:
    """Let processes in containers write a folder: root gives it to them, others run them as themselves."""
    if os.getuid() == 0:
        user, group = unprivileged_user().split(":")
        os.chown(folder, int(user), int(group))


def _limit_options(limits: Limits | None) -> dict[str, int]:
    if limits is None:
        return {}
    return {"nano_cpus": int(limits.cpus * 1e9), "mem_limit": limits.memory, "memswap_limit": limits.memory}

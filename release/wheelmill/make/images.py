"""Images: builders to compile in, roots of another architecture to run wheels in. Made once per content key.

A builder is docker/X86 or docker/ARM on some base: a manylinux image, any other with a package manager, or
`debian`, which is made here from the machine's Debian mirror and so needs no registry.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wheelmill.make.containers import ContainerError, connect, explained, meaning
from wheelmill.make.debian import Root, make_root, read_roots
from wheelmill.progress import Progress, silent
from wheelmill.store.errors import disk_errors
from wheelmill.store.lock import Lock

if TYPE_CHECKING:
    import docker

DOCKER_FOLDER = Path(__file__).parents[3] / "docker"
DEBIAN = "debian"

RECIPE_LABEL = "wheelmill.recipe"  # content key
BASE_LABEL = "wheelmill.base"  # image ID of the base
MATRIX_LABEL = "wheelmill.matrix"  # digest of the matrix that was in force; not part of the key
ARCH_LABEL = "wheelmill.arch"
DOCKERFILE_LABEL = "wheelmill.dockerfile"  # SHA-256
STAGE_LABEL = "wheelmill.stage"  # written by the Dockerfiles
POLICY_LABEL = "wheelmill.matrix.policy"  # that the base was taken for; absent where a user named the base

_OLDEST_POLICY = "manylinux_2_17"  # what the Dockerfiles default to
_BUILDER_FOLDERS = {"x86_64": "X86", "aarch64": "ARM"}
_PLATFORMS = {"x86_64": "linux/amd64", "aarch64": "linux/arm64"}
_ARCHES = {"amd64": "x86_64", "arm64": "aarch64"}


class PullError(ContainerError):
    """An image could not be had from its registry."""


@dataclass(frozen=True)
class Image:
    """An image on this engine. `made` is whether that happened now."""

    name: str
    id: str
    arch: str
    labels: Mapping[str, str] = field(default_factory=dict)
    made: bool = False


@dataclass(frozen=True)
class ImageShop:
    """What making images needs. `state` holds locks, logs and, for a while, root file systems."""

    state: Path
    matrix_digest: str = ""
    folder: Path = DOCKER_FOLDER
    progress: Progress = silent
    note: Progress = silent


def manylinux_image(policy: str, arch: str, folder: Path = DOCKER_FOLDER) -> str:
    """PyPA's image for a policy such as `manylinux_2_17`, pinned by digest in base/manylinux.yaml.

    Raises ContainerError naming those that are there.
    """
    import yaml

    pinned = yaml.safe_load(_read(folder / "base" / "manylinux.yaml"))
    if arch not in pinned.get(policy, {}):
        raise ContainerError(
            f"no image is pinned for {policy} on {arch} (there are {', '.join(pinned)})",
            hint="add one to docker/base/manylinux.yaml, or name a base: --base IMAGE",
        )
    return str(pinned[policy][arch])


def _read(file: Path) -> str:
    """A file of docker/. Raises ContainerError where wheelmill is installed away from its checkout."""
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ContainerError(
            f"there is no {file}: images need docker/ of the checkout that wheelmill is installed from",
            hint="in the checkout: pip install -e '.[make]'",
        ) from None


def _recipe(folder: Path) -> dict[str, bytes]:
    """What a builder image is made from, by name: the Dockerfile, and the lock of its tools."""
    return {name: _read(folder / name).encode() for name in ("Dockerfile", "tools.txt")}


def _digest(recipe: Mapping[str, bytes]) -> str:
    return hashlib.sha256(b"\0".join(recipe[name] for name in sorted(recipe))).hexdigest()


def ensure_image(
    arch: str, shop: ImageShop, base: str | None = None, *, policy: str = _OLDEST_POLICY
) -> Image:
    """The builder image for `arch` on `base`, else on the policy's manylinux image; made unless it is there.

    Raises ContainerError or DebianError.
    """
    recipe = _recipe(shop.folder / _BUILDER_FOLDERS[arch])
    from wheelmill.make.pip_site import read_site

    client = connect()
    with Lock(shop.state / "locks" / f"image-{arch}.lock", waiting=shop.progress):
        ground = _base_image(client, arch, base or manylinux_image(policy, arch, shop.folder), shop)
        digest = _digest(recipe)
        key = _key({"dockerfile": digest, "base": ground.id, "arch": arch})
        name = f"wheelmill-builder:{arch}-{key[:16]}"
        found = find_image(client, name, arch)
        if found is not None:
            return found
        labels = {ARCH_LABEL: arch, RECIPE_LABEL: key, BASE_LABEL: ground.id, DOCKERFILE_LABEL: digest}
        labels |= {} if base else {POLICY_LABEL: policy}
        shop.progress(f"making the builder image for {arch} on {ground.name}")
        site = read_site()
        files = {f"site/{path}": content for path, content in site.files().items()}
        with _context(shop, f"image-{arch}", {**recipe, **files}) as context:
            return _build(client, context, name, labels, shop, {"BASE": ground.name, **site.proxies})


def default_builder(arch: str, shop: ImageShop, policy: str = _OLDEST_POLICY) -> Image:
    """The builder image where no base was named: the newest one, else on the policy's manylinux image.

    Where that image cannot be pulled, on a Debian base. Raises ContainerError or DebianError.
    """
    found = current_builder(arch, shop, policy)
    if found is not None:
        return found
    try:
        return ensure_image(arch, shop, policy=policy)
    except PullError as error:
        shop.note(f"{error.message.splitlines()[0]}: taking a Debian base instead (--base names another)")
        return ensure_image(arch, shop, DEBIAN, policy=policy)


def current_builder(arch: str, shop: ImageShop, policy: str = _OLDEST_POLICY) -> Image | None:
    """The newest builder image for `arch` from today's Dockerfile that serves a policy.

    One whose base a user named serves every policy: the audit judges what comes out.
    """
    digest = _digest(_recipe(shop.folder / _BUILDER_FOLDERS[arch]))
    wanted = [f"{ARCH_LABEL}={arch}", f"{DOCKERFILE_LABEL}={digest}"]
    client = connect()
    with explained("list images"):
        listed = client.api.images(filters={"label": wanted})
    serving = [
        image
        for image in listed
        if image.get("RepoTags") and image["Labels"].get(POLICY_LABEL, policy) == policy
    ]
    newest = max(serving, key=lambda image: image["Created"], default=None)
    return None if newest is None else find_image(client, newest["RepoTags"][0], arch)


def ensure_root_image(purpose: str, arch: str, shop: ImageShop, *, python: str | None = None) -> Image:
    """The image of a Debian root: to start a builder from ("build") or to run wheels of a Python in ("run").

    Raises ContainerError when roots.yaml has none, or DebianError.
    """
    rows = read_roots(shop.folder / "base" / "roots.yaml")
    here = [row for row in rows if (row.purpose, row.arch) == (purpose, arch)]
    root = next((row for row in here if python in (None, row.python)), None)
    if root is None:
        listed = ", ".join(row.python for row in here) or "none"
        raise ContainerError(
            f"no Debian root to {purpose} Python {python} on {arch}",
            hint=f"there are roots for Python {listed}; another suite is a row in docker/base/roots.yaml",
        )
    with Lock(shop.state / "locks" / f"root-{root.key[:16]}.lock", waiting=shop.progress):
        return _ensure_root(connect(), root, shop)


def find_image(client: docker.DockerClient, name: str, arch: str) -> Image | None:
    """The image of this name, or None. Raises ContainerError when it is of another architecture."""
    import docker.errors

    try:
        with explained(f"look up image {name}"):
            found = client.images.get(name).attrs
    except ContainerError as error:
        if isinstance(error.__cause__, docker.errors.NotFound):
            return None
        raise
    is_for = _ARCHES.get(found["Architecture"], found["Architecture"])
    if is_for != arch:
        raise ContainerError(
            f"image {name} is for {is_for}, what is needed is one for {arch}",
            hint=f"docker pull --platform {_PLATFORMS[arch]} {name}, or name another image",
        )
    return Image(name, found["Id"], is_for, found["Config"].get("Labels") or {})


def _ensure_root(client: docker.DockerClient, root: Root, shop: ImageShop) -> Image:
    """The image under a name of its content: another checkout may make another one of the same row.

    The row's own name is of the one that was made last, for people.
    """
    dockerfile = (shop.folder / "base" / "Dockerfile").read_bytes()
    key = _key({"root": root.key, "dockerfile": hashlib.sha256(dockerfile).hexdigest()})
    name = f"{root.image}-{key[:16]}"
    found = find_image(client, name, root.arch)
    if found is not None:
        return found
    log = shop.state / "logs" / f"{root.image.replace(':', '-')}.log"
    with _context(shop, f"root-{root.key[:16]}", {"Dockerfile": dockerfile}) as context:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.unlink(missing_ok=True)
        make_root(root, context / "root.tar", log, shop.progress)
        shop.progress(f"loading {root.image}")
        made = _build(client, context, name, {RECIPE_LABEL: key, ARCH_LABEL: root.arch}, shop, {})
    with explained(f"name image {root.image}"):
        client.api.tag(made.id, *root.image.split(":"))
    return made


def _base_image(client: docker.DockerClient, arch: str, base: str, shop: ImageShop) -> Image:
    if base == DEBIAN:
        return ensure_root_image("build", arch, shop)
    found = find_image(client, base, arch)
    if found is None:
        shop.progress(f"pulling {base}")
        try:
            with explained(f"pull {base}"):
                client.images.pull(base, platform=_PLATFORMS[arch])
        except ContainerError as error:
            raise PullError(error.message, hint=error.hint) from error
        found = find_image(client, base, arch)
    if found is None:
        raise ContainerError(f"{base} was pulled and is not there", hint="name it with its tag or digest")
    return found


@contextmanager
def _context(shop: ImageShop, name: str, files: Mapping[str, bytes]) -> Iterator[Path]:
    """A build context with these files. The caller holds the lock of `name`; older ones are killed runs'."""
    context = shop.state / "contexts" / name
    with disk_errors("write the build context", context):
        shutil.rmtree(context, ignore_errors=True)
        try:
            for path, content in files.items():
                (context / path).parent.mkdir(parents=True, exist_ok=True)
                (context / path).write_bytes(content)
            yield context
        finally:
            shutil.rmtree(context, ignore_errors=True)


def _build(
    client: docker.DockerClient,
    context: Path,
    name: str,
    labels: Mapping[str, str],
    shop: ImageShop,
    arguments: Mapping[str, str],
) -> Image:
    """`docker build`: lines to a log, steps to the progress, the failing command's end to the error."""
    log = shop.state / "logs" / f"{name.replace(':', '-')}.docker.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    arch = labels[ARCH_LABEL]
    steps: list[str] = []
    with explained(f"build image {name}"), log.open("w", encoding="utf-8") as out, _forgotten(client, steps):
        stream = client.api.build(
            path=str(context),
            tag=name,
            labels={**labels, MATRIX_LABEL: shop.matrix_digest},
            buildargs=dict(arguments),
            platform=_PLATFORMS[arch],
            rm=True,
            forcerm=True,
            decode=True,
        )
        _follow_build(stream, name, out, log, shop.progress, steps)
    made = find_image(client, name, arch)
    if made is None:
        raise ContainerError(f"image {name} was built and is not there", hint=f"log: {log}")
    return Image(made.name, made.id, made.arch, made.labels, made=True)


def _follow_build(
    stream: Iterator[dict[str, Any]], name: str, out: Any, log: Path, progress: Progress, steps: list[str]
) -> None:
    """Follow the engine's words to their end; `steps` gets the image that each step made."""
    tail: list[str] = []
    for item in stream:
        text = str(item.get("stream") or item.get("error") or "")
        out.write(text)
        tail = [*tail, *(line for line in text.splitlines() if line.strip())][-6:]
        steps += re.findall(r"^ ---> ([0-9a-f]{12})$", text, re.MULTILINE)
        if text.startswith("Step "):
            progress(f"{name}: {text.splitlines()[0]}"[:110])
        if "error" in item:
            shown = "\n  ".join(tail)
            raise meaning(f"build image {name}", shown) or ContainerError(
                f"image {name} could not be built:\n  {shown}", hint=f"full log: {log}"
            )


@contextmanager
def _forgotten(client: docker.DockerClient, steps: list[str]) -> Iterator[None]:
    """In the end, remove what this build's throw-away stage left: it knows this site's pip configuration.

    Of others only what killed builds left long ago: another one may be in its own stage just now, and the
    engine knows no owner of a stage.
    """
    import docker.errors

    try:
        yield
    finally:
        for step in reversed(steps):
            with suppress(docker.errors.APIError):
                found = client.images.get(step)
                if found.labels.get(STAGE_LABEL) == "tools" and not found.tags:
                    client.images.remove(found.id)
        with suppress(docker.errors.APIError):
            old = {"dangling": True, "label": [f"{STAGE_LABEL}=tools"], "until": "6h"}
            client.images.prune(filters=old)


def _key(parts: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

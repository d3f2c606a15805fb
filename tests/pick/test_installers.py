"""What real pip and uv make of an answer: its lock file, its requirement, and the wheel that they choose."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from datetime import datetime, timezone
from pathlib import Path
from random import Random
from urllib.parse import unquote

import pytest
from wheelmill.catalogue import Catalogue, Record, Wheel
from wheelmill.catalogue import load as load_catalogue
from wheelmill.catalogue.model import ARCHES, LEGACY
from wheelmill.catalogue.own import add
from wheelmill.make.toolchain.pip_index import certificates, index_url
from wheelmill.matrix import Matrix, load
from wheelmill.matrix.model import TorchWheel
from wheelmill.matrix.versions import python_key
from wheelmill.matrix.versions import version as version_key
from wheelmill.pick import Offer, Pick, Request, Shelf, answer, to_json
from wheelmill.pick import pylock as locking
from wheelmill.pick.pylock import LockError, lock
from wheelmill.publish.index import IndexServer, build_index

from tests.index.conftest import Served, record_of, served
from tests.matrix.small import SMALL
from tests.pick.asking import CATALOGUE, MATRIX, SHELF, TODAY
from tests.wheels import Draft

__all__ = ["served"]
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
TAG = f"cp{sys.version_info.major}{sys.version_info.minor}"
ARCH = platform.machine()
NATIVE = f"{TAG}-{TAG}-manylinux_2_17_{ARCH}.manylinux2014_{ARCH}"


def found_uv() -> str:
    found = locking._uv_command()
    assert found, "uv is a development dependency of this project"
    return found[0]


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False, timeout=120)


class Shop:
    """A small matrix and catalogue, and the index that they speak of."""

    def __init__(self, served: Callable[..., Served], folder: Path, *more: Draft) -> None:
        local = "+cpu" if ARCH == "x86_64" else ""
        pin = f"Requires-Dist: torch==2.1.0{local}"
        drafts = [
            Draft(project="torch", version=f"2.1.0{local}", tag=NATIVE, headers=["Requires-Dist: torchdep"]),
            Draft(project="torch_npu", version="2.1.0rc1", tag=NATIVE, headers=[pin]),
            Draft(project="torchdep", version="1.13"),
            Draft(project="torchdep", version="1.12", headers=["Requires-Python: <3"]),
            Draft(project="torchdep", version="2.0rc1"),  # which nobody asked for
            Draft(project="pyyaml", version="6.0", tag=NATIVE),
            *more,
        ]  # fmt: skip
        self.index = served(*(record_of(draft, folder / "wheels") for draft in drafts))
        self.file = next((folder / "wheels").glob("torch_npu-*"))
        text = SMALL.replace('"3.8"]', f'"3.8", "{PYTHON}"]').replace(
            '["3.8", "3.9"]', f'["3.8", "3.9", "{PYTHON}"]'
        )
        (folder / "compat.yaml").write_text(text, encoding="utf-8")
        matrix = load(folder / "compat.yaml")
        document = dataclasses.replace(matrix.document, torch_cpu_index=self.index.url)
        self.matrix: Matrix = dataclasses.replace(matrix, document=document)

    def pick(self, sha256: str) -> Pick:
        record = Record("torch_npu", "index", "2026-11-28", (Wheel(self.file.name, sha256),))
        shelf = Shelf(self.matrix, Catalogue((record,)), TODAY)
        found = answer(shelf, Request(python=PYTHON, arch=ARCH), {})
        assert isinstance(found, Pick)
        return found


@pytest.fixture
def shop(served: Callable[..., Served], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)  # this machine's own indexes have no part in it
    for name in ("PIP_CONSTRAINT", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    return Shop(served, tmp_path)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("resolver", ["uv", "pip"])
def test_pip_and_uv_install_the_lock(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resolver: str
) -> None:
    uv = found_uv()
    if resolver == "pip":
        monkeypatch.setattr(locking, "_uv_command", list)
    picked = shop.pick(digest(shop.file))
    text = lock(shop.matrix, picked.offer, None, shop.index.url)
    path = tmp_path / "pylock.toml"
    path.write_text(text, encoding="utf-8")
    with_pip, with_uv = tmp_path / "with-pip", tmp_path / "with-uv"
    pip = run(sys.executable, "-m", "pip", "install", "-q", "-r", path, "--target", with_pip)
    assert pip.returncode == 0, pip.stderr
    done = run(
        uv, "pip", "install", "-q", "--no-config", "-r", path, "--target", with_uv, "--python", sys.executable
    )
    assert done.returncode == 0, done.stderr
    for target in (with_pip, with_uv):
        installed = {found.name.partition("-")[0] for found in target.glob("*.dist-info")}
        assert installed == {"torch", "torch_npu", "torchdep", "pyyaml"}


def test_pip_locks_what_uv_cannot_reach(shop: Shop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """pip's own settings may name another way to the files, such as a folder; else uv's error is told."""
    offer = shop.pick(digest(shop.file)).offer
    broken = tmp_path / "uv"
    broken.write_text("#!/bin/sh\necho 'error: dns error' >&2; exit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(locking, "_uv_command", lambda: [str(broken)])
    assert shop.file.name in lock(shop.matrix, offer, None, shop.index.url)
    with pytest.raises(LockError, match="dns error"):
        lock(shop.matrix, dataclasses.replace(offer, python="3.8", arch="aarch64"), None, shop.index.url)


@pytest.fixture(params=["uv", "pip"])
def resolver(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What resolves: pip where there is no uv."""
    if request.param == "pip":
        monkeypatch.setattr(locking, "_uv_command", list)
    return str(request.param)


@pytest.mark.usefixtures("resolver")
def test_of_two_wheels_for_one_python_the_lock_has_the_one_that_was_picked(
    served: Callable[..., Served], shop: Shop, tmp_path: Path
) -> None:
    """Installers prefer the tag of the newer system; on an earlier day the other one was the only one."""
    older = Draft(project="torch_npu", version="2.1.0rc1", tag=f"{TAG}-{TAG}-manylinux_2_5_{ARCH}")
    shop = Shop(served, tmp_path / "two", older)
    for file in (tmp_path / "two" / "wheels").glob("torch_npu-*"):
        shop.file = file
        assert file.name in lock(shop.matrix, shop.pick(digest(file)).offer, "2.28", shop.index.url)


def test_torch_alone_is_taken_from_the_index_of_torch(
    served: Callable[..., Served],
    shop: Shop,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    resolver: str,
) -> None:
    """It has old copies of what others need, also such as fit nobody; and it has no adapter."""
    other = {"uv": "_pip", "pip": "_uv"}[resolver]
    monkeypatch.setattr(locking, other, lambda *_: pytest.fail(f"{resolver} was to resolve"))
    local = "+cpu" if ARCH == "x86_64" else ""
    drafts = [
        Draft(project="torch", version=f"2.1.0{local}", tag=NATIVE, headers=["Requires-Dist: torchdep"]),
        Draft(project="torchdep", version="1.10"),
        Draft(project="pyyaml", version="5.0", tag="cp27-none-any"),
    ]
    theirs = tmp_path / "theirs"
    records = [record_of(draft, theirs / "wheels") for draft in drafts]
    build_index(records, theirs / "index")
    with IndexServer(theirs / "index") as server:
        document = dataclasses.replace(shop.matrix.document, torch_cpu_index=server.simple_url)
        matrix = dataclasses.replace(shop.matrix, document=document)
        text = lock(matrix, shop.pick(digest(shop.file)).offer, None, shop.index.url)
        path = tmp_path / "pylock.toml"
        path.write_text(text, encoding="utf-8")
        done = run(
            sys.executable, "-m", "pip", "install", "--dry-run", "-r", path, "--target", tmp_path / "to"
        )
    assert done.returncode == 0, done.stderr
    assert {"torchdep-1.13", "pyyaml-6.0"} <= set(done.stdout.splitlines()[-1].lower().split())
    urls = dict(re.findall(r'^name = "([\w-]+)"$(?:.*\n)*?url = "(.+?)"$', text, re.MULTILINE))
    expected = server.url if local else shop.index.base
    assert urls["torch"].startswith(expected)
    assert all(url.startswith(shop.index.base) for name, url in urls.items() if name != "torch")


def test_a_lock_is_refused_when_the_index_serves_other_bytes(shop: Shop) -> None:
    found_uv()
    with pytest.raises(LockError, match="the catalogue has 0000"):
        lock(shop.matrix, shop.pick("00" * 32).offer, None, shop.index.url)


def test_a_lock_says_why_it_cannot_be(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    offer = shop.pick(digest(shop.file)).offer
    monkeypatch.setattr(locking, "_uv_command", list)
    with pytest.raises(LockError, match=r"pip cannot resolve for Python 3\.8 on aarch64 here"):
        lock(shop.matrix, dataclasses.replace(offer, python="3.8", arch="aarch64"), None, shop.index.url)
    with pytest.raises(LockError, match="is on no index"):
        lock(shop.matrix, dataclasses.replace(offer, how="build"), None, shop.index.url)


SAMPLE = [
    Request(cann="7.0.RC1", python="3.8", arch="aarch64"),
    Request(cann="8.5.1", python="3.11", arch="aarch64"),
    Request(cann="9.0.1", torch="2.10.0", python="3.12", arch="aarch64"),
    Request(python="3.14", arch="x86_64"),
    Request(adapter="2.6.0.post5", python="3.12", arch="x86_64", glibc="2.17"),
    Request(adapter="2.6.0.post5", python="3.12", arch="aarch64", glibc="2.28"),
    Request(adapter="2.9.1", python="3.13", arch="x86_64"),
    Request(adapter="2.1.0", python="3.9", arch="x86_64", glibc="2.36"),
]


@pytest.mark.parametrize("request_", SAMPLE, ids=str)
def test_pip_takes_the_wheel_that_was_picked(tmp_path: Path, request_: Request) -> None:
    """All wheels of the version lie on the shelf of a real pip, which is told to be that interpreter."""
    picked = answer(SHELF, request_, {})
    assert isinstance(picked, Pick)
    offer, wheel = picked.offer, picked.offer.wheel
    assert wheel is not None
    shelf = tmp_path / "shelf"
    hashes = {}
    for one in CATALOGUE.of(offer.adapter):
        draft = Draft(project="torch_npu", version=offer.adapter, tag="-".join(one.parts[2:]), headers=[])
        hashes[one.file] = digest(draft.write(shelf))
    newest = int((request_.glibc or "2.40").partition(".")[2])
    names = [*(f"manylinux_2_{minor}" for minor in range(newest, 4, -1)), "manylinux2014", "linux"]
    platforms = [word for name in names for word in ("--platform", f"{name}_{offer.arch}")]
    links = [f'<a href="shelf/{name}#sha256={sha256}">{name}</a>' for name, sha256 in hashes.items()]
    page = tmp_path / "links.html"
    page.write_text("<!DOCTYPE html>" + "".join(links))
    requirements = tmp_path / "torch_npu.txt"
    requirements.write_text(f"torch_npu=={offer.adapter} --hash=sha256:{hashes[wheel.file]}")
    done = run(
        *(sys.executable, "-m", "pip", "download", "-q", "--no-index", "--find-links", page, "--no-deps"),
        *("--only-binary", ":all:", "--python-version", offer.python, "--dest", tmp_path / "taken"),
        *(*platforms, "-r", requirements),
    )
    assert done.returncode == 0, done.stderr
    assert [found.name for found in (tmp_path / "taken").iterdir()] == [wheel.file]


class Racks:
    """Every wheel of the catalogue, empty but with its tags; each version as a project of its own.

    One run of pip then takes a wheel of each version that it is asked for.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.projects = {version: f"rack{place}" for place, version in enumerate(CATALOGUE.versions)}
        self.files, self.lines, links = {}, {}, []
        for version, project in self.projects.items():
            for one in CATALOGUE.of(version):
                draft = Draft(project=project, version="1.0", tag="-".join(one.parts[2:]), headers=[])
                path = draft.write(folder)
                sha256 = digest(path)
                links.append(f'<a href="{path.name}#sha256={sha256}">{path.name}</a>')
                self.files[path.name] = one.file
                self.lines[one.file] = f"{project}==1.0 --hash=sha256:{sha256}"
        self.page = folder / "links.html"
        self.page.write_text("<!DOCTYPE html>" + "".join(links), encoding="utf-8")

    def pip(
        self, lines: Iterable[str], python: str, arch: str, glibc: str
    ) -> subprocess.CompletedProcess[str]:
        """What pip says to a dry run for such an interpreter; its report is on standard output."""
        requirements = self.folder / "requirements.txt"
        requirements.write_text("\n".join(lines), encoding="utf-8")
        newest = int(glibc.partition(".")[2])
        names = [*(f"manylinux_2_{minor}" for minor in range(newest, 4, -1)), "linux"]
        names[-1:-1] = [name for name, (_, minor) in LEGACY.items() if minor <= newest]
        platforms = [word for name in names for word in ("--platform", f"{name}_{arch}")]
        return run(
            *(sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--report", "-", "--no-deps"),
            *("--no-index", "--find-links", self.page, "--only-binary", ":all:", "--ignore-installed"),
            *("--target", self.folder / "target", "--python-version", python, *platforms),
            *("-r", requirements),
        )


@pytest.fixture(scope="module")
def racks(tmp_path_factory: pytest.TempPathFactory) -> Racks:
    return Racks(tmp_path_factory.mktemp("racks"))


# All that the wheels are for, and the C libraries at which one of them begins to fit or ends.
PYTHONS = sorted({python for one in CATALOGUE for python in one.pythons}, key=python_key)
LIBCS = ("2.16", "2.17", "2.23", "2.24", "2.26", "2.27", "2.28", "2.34", "2.41")
MACHINES = [(python, arch, glibc) for python in PYTHONS for arch in ARCHES for glibc in LIBCS]
DRAWN = Random(12).sample(MACHINES, 4)


@pytest.mark.parametrize(
    ("python", "arch", "glibc"),
    [pytest.param(*one, marks=[] if one in DRAWN else [pytest.mark.on_demand]) for one in MACHINES],
)
def test_pip_takes_of_each_version_what_was_picked(racks: Racks, python: str, arch: str, glibc: str) -> None:
    """And of the versions of which none fits, it takes none."""
    wanted: dict[str, str] = {}
    for version in racks.projects:
        found = answer(SHELF, Request(adapter=version, python=python, arch=arch, glibc=glibc), {})
        if isinstance(found, Pick) and found.offer.wheel is not None:
            wanted[version] = found.offer.wheel.file
    none = [version for version in racks.projects if version not in wanted]
    if wanted:
        done = racks.pip([racks.lines[file] for file in wanted.values()], python, arch, glibc)
        assert done.returncode == 0, done.stderr
        taken = [Path(one["download_info"]["url"]).name for one in json.loads(done.stdout)["install"]]
        assert sorted(racks.files[name] for name in taken) == sorted(wanted.values())
    for version in Random(python + arch + glibc).sample(none, min(1, len(none))):
        refused = racks.pip([racks.projects[version]], python, arch, glibc)
        assert "No matching distribution found" in refused.stderr, version


# ------------------------------------------------------------------------------- this project's own releases
def test_a_release_of_our_own_is_installed_from_the_index_that_has_it(shop: Shop, tmp_path: Path) -> None:
    """Recorded by the release, picked, and its commands and lock are what real pip and uv take."""
    folder = tmp_path / "catalogue"
    add(folder, [shop.file], datetime(2026, 11, 28, tzinfo=timezone.utc))
    shelf = Shelf(shop.matrix, load_catalogue(folder), TODAY)
    base = shop.index.url.removesuffix("/simple/")
    found = answer(shelf, Request(python=PYTHON, arch=ARCH), {}, base)
    assert isinstance(found, Pick)
    assert "is a release of this project (releases), and not on the public index." in " ".join(
        one["en"] for one in found.warnings
    )
    assert to_json(found)["cell"]["record"] == "releases"
    pip = f"{sys.executable} -m pip download --dest {tmp_path / 'got'}"
    script = " && ".join(found.steps[2].commands).replace("pip3 install", pip)
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in (tmp_path / "got").iterdir()] == [shop.file.name]
    assert shop.file.name in lock(shop.matrix, found.offer, None, shop.index.url, own=base)
    assert to_json(found)["pins"][-2] == f"--extra-index-url {base}/simple/"


def test_the_pins_of_a_release_of_our_own_name_its_index(shop: Shop, tmp_path: Path) -> None:
    """A file of requirements that pip takes alone; where nobody told the index, the environment tells it."""
    add(tmp_path / "catalogue", [shop.file], None)
    shelf = Shelf(shop.matrix, load_catalogue(tmp_path / "catalogue"), TODAY)
    base = shop.index.url.removesuffix("/simple/")
    for index in (base, None):
        found = answer(shelf, Request(python=PYTHON, arch=ARCH), {}, index)
        assert isinstance(found, Pick)
        lines = [one for one in found.pins if not one.startswith("torch==")]
        (tmp_path / "pins.txt").write_text("\n".join(lines))
        got = tmp_path / f"got-{index is None}"
        words = ["--no-deps", "--require-hashes", "--index-url", f"{base}/nothing/", "--dest", str(got)]
        command = [sys.executable, "-m", "pip", "download", *words, "-r", str(tmp_path / "pins.txt")]
        environment = os.environ | {"WHEELMILL_INDEX_URL": base}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert [path.name for path in got.iterdir()] == [shop.file.name]
    assert to_json(found)["dockerfile"][0] == "ARG WHEELMILL_INDEX_URL"


def test_without_an_address_of_our_index_the_command_asks_for_it(shop: Shop, tmp_path: Path) -> None:
    add(tmp_path / "catalogue", [shop.file], None)
    shelf = Shelf(shop.matrix, load_catalogue(tmp_path / "catalogue"), TODAY)
    found = answer(shelf, Request(python=PYTHON, arch=ARCH), {})
    assert isinstance(found, Pick)
    script = " && ".join(found.steps[2].commands).replace("pip3 install", "echo installing")
    clean = {"PATH": os.environ["PATH"]}
    asked = subprocess.run(
        ["sh", "-c", script], cwd=tmp_path, env=clean, capture_output=True, text=True, check=False
    )
    assert asked.returncode != 0
    assert "installing" not in asked.stdout
    assert "WHEELMILL_INDEX_URL: set it to the index that has this release" in asked.stderr
    with pytest.raises(LockError, match="no index with it was named"):
        lock(shop.matrix, found.offer, None, shop.index.url)


def test_what_the_public_index_has_comes_before_our_own_of_that_name(shop: Shop, tmp_path: Path) -> None:
    own = add(tmp_path / "catalogue", [shop.file], datetime(2026, 11, 28, tzinfo=timezone.utc))
    public = Record("torch_npu", "index", "2026-11-27", (Wheel(shop.file.name, "ab" * 32, source="index"),))
    for records in ((own, public), (public, own)):
        found = answer(Shelf(shop.matrix, Catalogue(records), TODAY), Request(python=PYTHON, arch=ARCH), {})
        assert isinstance(found, Pick)
        assert (found.offer.wheel, found.offer.released_here) == (public.wheels[0], False)


def test_pip_holds_the_pinned_lines_to_their_hashes(shop: Shop, tmp_path: Path) -> None:
    """What `pins` has is a requirements file for pip's hash-checking mode: the right files, and no other."""
    local = "+cpu" if ARCH == "x86_64" else ""
    torch = next((tmp_path / "wheels").glob(f"torch-2.1.0{local}-*"))
    row = TorchWheel(PYTHON, ARCH, digest(torch), None, "cpu" if local else "default")  # type: ignore[arg-type]
    known = dataclasses.replace(shop.matrix.torches["2.1.0"], wheels=(row,))
    shop.matrix = dataclasses.replace(shop.matrix, torches={"2.1.0": known})
    for sha256, code in ((digest(shop.file), 0), ("00" * 32, 1)):
        lines = shop.pick(sha256).pins
        assert [line.partition("==")[0] for line in lines if not line.startswith("-")] == [
            "torch",
            "torch_npu",
        ]
        path = tmp_path / "pins.txt"
        path.write_text("\n".join(lines) + "\n")
        words = (
            "download",
            "-q",
            "--no-deps",
            "--require-hashes",
            "-r",
            path,
            "--dest",
            tmp_path / f"got{code}",
        )
        done = run(sys.executable, "-m", "pip", *words, "--index-url", shop.index.url)
        assert done.returncode == code, done.stderr
        assert len(list((tmp_path / f"got{code}").glob("torch*.whl"))) == (2 if code == 0 else 0)


# ------------------------------------------------------------------------------- locks from the public index
def one_of_each_torch() -> list[Offer]:
    """For aarch64 and this Python, with each torch that the package index has without CUDA."""
    with_cuda = version_key(MATRIX.document.torch_with_cuda["aarch64"])
    found: dict[str, Offer] = {}
    for one in SHELF.offers:
        here = one.how == "index" and (one.python, one.arch) == (PYTHON, "aarch64")
        if here and version_key(one.torch) < with_cuda:
            found.setdefault(one.torch, one)
    return list(found.values())


@pytest.mark.on_demand
@pytest.mark.timeout(900)
@pytest.mark.parametrize("offer", one_of_each_torch(), ids=lambda one: f"{one.torch}-{one.python}")
def test_a_lock_for_aarch64_is_resolved_and_taken(tmp_path: Path, offer: Offer) -> None:
    """By the real uv from the real index; each of its files is the one that pip takes on such a machine.

    And uv takes the lock as a whole for that machine.
    """
    path = tmp_path / "pylock.toml"
    path.write_text(lock(MATRIX, offer, offer.glibc, index_url(), certificates()), encoding="utf-8")
    files = re.findall(
        r'^name = "(.+)"\nversion = "(.+)"\n.*\nname = "(.+)"\nurl = .*\nhashes = \{ sha256 = "(.+)" \}$',
        path.read_text(encoding="utf-8"), re.MULTILINE,
    )  # fmt: skip
    assert {"torch", "torch-npu", "pyyaml", "numpy"} <= {name for name, *_ in files}
    assert not [name for name, *_ in files if name.startswith("nvidia")]
    newest = int((offer.glibc or "2.28").partition(".")[2])
    names = [*(f"manylinux_2_{minor}" for minor in range(newest, 16, -1)), "manylinux2014", "linux"]
    platforms = [word for name in names for word in ("--platform", f"{name}_aarch64")]
    report = tmp_path / "report.json"
    pip = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--report", report),
            *("--no-deps", "--ignore-installed", "--only-binary", ":all:", "--target", tmp_path / "pip"),
            *("--python-version", offer.python, *platforms, "--index-url", index_url()),
            *(f"{name}=={number}" for name, number, *_ in files),
        ],
        capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    assert pip.returncode == 0, pip.stderr
    taken = {
        (
            unquote(Path(one["download_info"]["url"]).name),
            one["download_info"]["archive_info"]["hashes"]["sha256"],
        )
        for one in json.loads(report.read_text(encoding="utf-8"))["install"]
    }
    assert taken == {(file, sha256) for *_, file, sha256 in files}
    uv = subprocess.run(
        [
            *(found_uv(), "pip", "install", "--dry-run", "--no-config", "-r", path),
            *("--target", tmp_path / "uv", "--python-platform", "aarch64-manylinux_2_28"),
            *("--python-version", offer.python),
        ],
        capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    assert uv.returncode == 0, uv.stderr
    assert f" + torch-npu=={offer.adapter}" in uv.stderr

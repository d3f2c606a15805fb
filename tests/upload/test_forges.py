"""Release pages of GitHub, Gitee and GitCode: whole or not public, whatever the server does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from wheelmill.publish.upload import Options, Report, UploadError, read, target_for, upload
from wheelmill.publish.upload.driver import ATTEMPTS

from tests.cli.test_command_line import wheelmill
from tests.upload import folders
from tests.upload.folders import NOTES, TAG, contents
from tests.upload.forge import TOKEN, Fault, Forge, forge

FORGES = ("github", "gitee", "gitcode")
PREFIX = {"github": "", "gitee": "/gitee", "gitcode": "/gitcode"}
# How a file arrives at each forge.
SENDING = {
    "github": ("POST", r"/uploads/releases/\d+/assets"),
    "gitee": ("POST", r"/attach_files$"),
    "gitcode": ("PUT", r"/storage/\d+"),
}


@pytest.fixture
def server() -> Iterator[Forge]:
    with forge() as state:
        yield state


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folders.make(tmp_path_factory.mktemp("release") / "release")


@pytest.fixture(autouse=True)
def tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in FORGES:
        monkeypatch.setenv(f"{name.upper()}_TOKEN", TOKEN)


class Waits:
    """What the driver would have waited, and all that it said."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.said: list[str] = []

    def run(self, name: str, server: Forge, folder: Path) -> Report:
        target = target_for(name, Options(repository="o/r", api=server.url + PREFIX[name]))
        return upload(read(folder), target, note=self.said.append, wait=self.seconds.append)


def is_public(server: Forge) -> bool:
    (page,) = server.pages
    return not page.draft and "Upload in progress" not in page.fields["body"]


@pytest.mark.parametrize("name", FORGES)
def test_a_release_arrives_whole_and_then_is_public(name: str, server: Forge, folder: Path) -> None:
    report = Waits().run(name, server, folder)
    assert server.files(TAG) == contents(folder)
    assert sorted(report.sent) == sorted(contents(folder))
    assert report.sent[-1] == "release.json"
    assert report.published
    (page,) = server.pages
    assert is_public(server)
    assert page.fields["target_commitish"] == folders.COMMIT
    for text in NOTES.values():
        assert text.strip() in page.fields["body"]
    assert str(page.fields.get("prerelease", page.fields.get("release_status"))).lower() in ("true", "pre")


@pytest.mark.parametrize("name", FORGES)
def test_a_second_run_sends_nothing(name: str, server: Forge, folder: Path) -> None:
    Waits().run(name, server, folder)
    sends = server.asked(SENDING[name][0], f".*{SENDING[name][1]}")
    report = Waits().run(name, server, folder)
    assert (report.sent, report.published) == ((), False)
    assert len(report.kept) == len(contents(folder))
    assert server.asked(SENDING[name][0], f".*{SENDING[name][1]}") == sends
    assert len(server.pages) == 1


@pytest.mark.parametrize("name", FORGES)
def test_other_bytes_under_a_published_name_are_refused(
    name: str, server: Forge, folder: Path, tmp_path: Path
) -> None:
    Waits().run(name, server, folder)
    before = server.files(TAG)
    other = folders.make(tmp_path / "other", b"y" * 5000)
    with pytest.raises(UploadError, match="other bytes under the same names") as caught:
        Waits().run(name, server, other)
    assert str(caught.value).count(".whl is there with SHA-256") == 4
    assert server.files(TAG) == before


@pytest.mark.parametrize("name", FORGES)
@pytest.mark.parametrize("kind", ["500", "503", "429", "drop", "lost"])
def test_a_server_that_fails_now_and_then_is_asked_again(
    name: str, kind: str, server: Forge, folder: Path
) -> None:
    """Every kind of request fails once; a file whose answer was lost is not sent twice."""
    method, path = SENDING[name]
    for verb in ("GET", "POST", "PATCH"):
        server.faults.append(
            Fault(verb, "releases", kind, headers={"Retry-After": "7"} if kind == "429" else {})
        )
    server.faults.append(Fault(method, path, kind, times=2, after=1))
    waits = Waits()
    waits.run(name, server, folder)
    assert server.files(TAG) == contents(folder)
    assert is_public(server)
    assert len(waits.seconds) >= 4
    assert set(waits.seconds) <= ({7.0, 1.0, 2.0} if kind == "429" else {1.0, 2.0})
    assert TOKEN not in "\n".join(waits.said)


@pytest.mark.parametrize("name", FORGES)
def test_a_server_that_stays_down_ends_in_one_clear_error_and_can_be_resumed(
    name: str, server: Forge, folder: Path
) -> None:
    method, path = SENDING[name]
    server.faults.append(Fault(method, path, "500", times=99, after=2))
    waits = Waits()
    with pytest.raises(UploadError, match=f"could not be sent, after {ATTEMPTS} attempts") as caught:
        waits.run(name, server, folder)
    assert "500" in caught.value.message
    assert "run the same command again" in str(caught.value.hint)
    assert not is_public(server)
    assert waits.seconds == [1.0, 2.0, 4.0, 8.0, 16.0]
    there = server.files(TAG)
    assert len(there) == 2
    server.faults.clear()
    report = Waits().run(name, server, folder)
    assert set(report.kept) == set(there)
    assert server.files(TAG) == contents(folder)
    assert is_public(server)


def test_what_github_keeps_of_a_broken_upload_is_replaced(server: Forge, folder: Path) -> None:
    server.faults.append(Fault("POST", "uploads", "starter", after=1))
    Waits().run("github", server, folder)
    assert server.files(TAG) == contents(folder)
    assert server.asked("DELETE", r"/repos/o/r/releases/assets/\d+") == 1


def test_half_a_file_on_gitee_is_replaced_while_the_page_says_so(server: Forge, folder: Path) -> None:
    server.faults.append(Fault("POST", "attach_files", "cut", after=1))
    Waits().run("gitee", server, folder)
    assert server.files(TAG) == contents(folder)
    assert server.asked("DELETE", r".*/attach_files/\d+") == 1


def test_half_a_file_on_a_public_page_is_refused(server: Forge, folder: Path) -> None:
    Waits().run("gitee", server, folder)
    (page,) = server.pages
    name = next(iter(page.files))
    number, data, _ = page.files[name]
    page.files[name] = (number, data[:-1], True)
    with pytest.raises(UploadError, match="other bytes"):
        Waits().run("gitee", server, folder)
    assert page.files[name] == (number, data[:-1], True)


def test_a_file_that_arrives_damaged_is_not_made_public(server: Forge, folder: Path) -> None:
    server.digests = False

    class Damaging(Waits):
        def run(self, name: str, server: Forge, folder: Path) -> Report:
            self.server = server
            return super().run(name, server, folder)

        def damage(self, text: str) -> None:
            self.said.append(text)
            if text.startswith("read back"):
                (page,) = self.server.pages
                for name, (number, data, whole) in page.files.items():
                    page.files[name] = (number, data[:-1] + bytes([data[-1] ^ 1]), whole)

    waits = Damaging()
    target = target_for("github", Options(repository="o/r", api=server.url))
    waits.server = server
    with pytest.raises(UploadError, match="is not what was sent"):
        upload(read(folder), target, note=waits.damage, wait=waits.seconds.append)
    assert not is_public(server)


@pytest.mark.parametrize("name", ["github", "gitee"])
def test_half_an_answer_is_no_answer(name: str, server: Forge, folder: Path) -> None:
    server.faults.append(Fault("GET", r"assets|attach_files", "half", times=2))
    Waits().run(name, server, folder)
    assert server.files(TAG) == contents(folder)


def test_without_hashes_the_bytes_are_read_back(server: Forge, folder: Path) -> None:
    server.digests = False
    Waits().run("github", server, folder)
    assert server.asked("GET", r"/repos/o/r/releases/assets/\d+") == len(contents(folder))
    server.faults.append(Fault("GET", r"releases/assets/\d+", "half", times=2))
    assert Waits().run("github", server, folder).sent == ()


def test_a_rate_limit_that_lasts_is_an_error_at_once(server: Forge, folder: Path) -> None:
    limit = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "99999999999"}
    server.faults.append(Fault("GET", "releases", "403", times=99, headers=limit))
    waits = Waits()
    with pytest.raises(UploadError, match="the server asks to wait"):
        waits.run("github", server, folder)
    assert waits.seconds == []


@pytest.mark.parametrize("name", FORGES)
def test_a_wrong_token_is_one_clear_error_without_the_token(
    name: str, server: Forge, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{name.upper()}_TOKEN", "wrong/to+ken")
    with pytest.raises(UploadError, match="401") as caught:
        Waits().run(name, server, folder)
    assert "wrong" not in str(caught.value)
    assert "token is not accepted" in str(caught.value.hint)
    assert server.pages == []


@pytest.mark.parametrize("name", FORGES)
def test_the_command_prints_no_token_whatever_happens(name: str, server: Forge, folder: Path) -> None:
    method, path = SENDING[name]
    server.faults.append(Fault(method, path, "422", times=9))
    words = ("upload", str(folder), "--to", name, "--repository", "o/r", "--api", server.url + PREFIX[name])
    failed = wheelmill(*words)
    assert failed.returncode == 1, failed.stdout
    assert "422" in failed.stderr
    assert "Traceback" not in failed.stderr
    for form in (TOKEN, "s3cr%2Ft%2Btoken", "s3cr/t%2Btoken"):
        assert form not in failed.stdout + failed.stderr
    server.faults.clear()
    done = wheelmill(*words, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["published"] is True
    assert done.stderr == ""
    assert server.files(TAG) == contents(folder)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--to", "github"], "--repository OWNER/NAME"),
        (["--to", "github", "--repository", "a/b/c"], "--repository OWNER/NAME"),
        (["--to", "gitlab"], "'gitlab' is no target"),
        (["--to", "https://x.example"], "is no target"),
        (["--to", "twine"], "--upload-url"),
        (["--to", "twine", "--upload-url", "http://me:pw@h/"], "a user or password in a URL"),
        (["--to", "s3://b", "--repository", "o/r"], "--repository is not for s3://b"),
        (["--to", "github", "--upload-url", "http://h/"], "--upload-url is not for github"),
        (
            ["--to", "github", "--repository", "o/r", "--api", "http://h.example"],
            "would get the token unencrypted",
        ),
    ],
)
def test_a_target_that_lacks_something_says_what(words: list[str], said: str, folder: Path) -> None:
    done = wheelmill("upload", str(folder), *words)
    assert done.returncode == 1
    assert said in done.stderr
    assert "pw" not in done.stderr


def test_without_a_token_it_is_asked_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITEE_TOKEN")
    with pytest.raises(UploadError, match="GITEE_TOKEN is not set"):
        target_for("gitee", Options(repository="o/r"))

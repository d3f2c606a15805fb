"""Addresses and requirements that are printed to be pasted are parsed whole."""

from __future__ import annotations

import shlex

import pytest
from wheelmill.catalogue import load as load_catalogue
from wheelmill.matrix import load
from wheelmill.matrix.forms import https_url, requirement

from tests.matrix.small import COMPAT


@pytest.mark.parametrize(
    "text",
    [
        "https://download.pytorch.org/whl/cpu",
        "https://example.org:8443/a/b%2Bcpu-cp311.whl",
        "https://[2001:db8::1]/whl",
        "https://192.0.2.7/whl/",
    ],
)
def test_an_address_is_taken_as_it_is_and_the_shell_reads_it_alike(text: str) -> None:
    assert https_url(text) == text
    assert shlex.split(text) == [text]


@pytest.mark.parametrize(
    "text",
    [
        "", "https://", "https:///whl", "http://a.example/", "HTTPS://a.example/", "https:a.example",
        "file:///etc/passwd", "//a.example/", "https://user@a.example/", "https://user:word@a.example/",
        "https://a.example@b.example/", "https://a.example:/", "https://a.example:0/",
        "https://a.example:99999/", "https://a.example:x/", "https://-a.example/", "https://a..example/",
        "https://127.1/", "https://a.example/a b", "https://a.example/a\nb", "https://a.example/\x1b[2J",
        "https://a.example/;id", "https://a.example/$(id)", "https://a.example/`id`", "https://a.example/'",
        'https://a.example/"', "https://a.example/&b", "https://a.example/|b", "https://a.example/#b",
        "https://a.example/?b=c", "https://a.example/a/../b", "https://a.example//b", "https://a.example/%2e%2e",
        "https://a.example/%0a", "https://a.example/%zz", "https://a.example\\@b.example/", "https://аpple.example/",
        "https://[::1/", " https://a.example/",
    ],
)  # fmt: skip
def test_what_is_no_plain_address_is_refused_with_the_reason(text: str) -> None:
    with pytest.raises(ValueError, match=r"has |is |names "):
        https_url(text)


@pytest.mark.parametrize("text", ["numpy", "numpy<2", "torch[opt]==2.1.0; python_version < '3.9'"])
def test_a_requirement_is_taken_as_it_is(text: str) -> None:
    assert requirement(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "", "-r other.txt", "--index-url=https://a.example", "numpy @ https://a.example/x.whl",
        "numpy @ file:///etc/passwd", "./numpy", "numpy\n--index-url https://a.example", "numpy<2 --hash=x",
        "https://a.example/x.whl", "numpy\x1b[2J", "nu\u202empy",
    ],
)  # fmt: skip
def test_what_is_no_requirement_by_name_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no requirement|names an address|cannot be seen"):
        requirement(text)


def test_what_matrix_and_catalogue_name_today_has_these_forms() -> None:
    document = load(COMPAT).document
    urls = [wheel.url for torch in document.torches for wheel in torch.wheels if wheel.url]
    urls += [line.download for line in document.lines if line.download]
    assert [https_url(one) for one in urls] == urls
    asked = {one for wheel in load_catalogue(COMPAT.with_name("catalogue")) for one in wheel.requires or ()}
    assert len(asked) > 5
    assert {requirement(one) for one in asked} == asked

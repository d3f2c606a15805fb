"""Spellings and order of CANN versions, Pythons, architectures and branch names."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wheelmill.matrix.rules.base import readable
from wheelmill.matrix.versions import (
    arch_name,
    branch_name,
    cann_key,
    cann_name,
    has_32_bits,
    python_name,
    specifiers,
    version,
)

IN_ORDER = (
    "5.0.2", "5.0.4", "5.1.RC1", "5.1.RC2", "6.0.RC1", "6.0.1", "6.3.RC1", "6.3.RC3", "6.3.RC3.1", "7.0.RC1",
    "7.0.0", "8.0.RC2", "8.0.RC3.alpha001", "8.0.RC3.alpha002", "8.0.RC3.beta1", "8.0.RC3", "8.0.0",
    "8.0.0.1",    "8.5.0", "9.0.0", "9.1.0-beta.3", "9.1.0", "10.0.0",
)  # fmt: skip


def test_cann_versions_have_one_order() -> None:
    assert sorted(sorted(IN_ORDER), key=cann_key) == list(IN_ORDER)
    assert len({cann_key(one) for one in IN_ORDER}) == len(IN_ORDER)


@pytest.mark.parametrize("spelling", ["7.0.rc1", "7.0.Rc1", " CANN 7.0.RC1 ", "cann-7.0.rc1", "v7.0.RC1"])
def test_cann_spellings_are_one_version(spelling: str) -> None:
    assert cann_name(spelling) == "7.0.RC1"
    assert cann_key(spelling) == cann_key("7.0.RC1")


@pytest.mark.parametrize(
    "spelling", ["3.8", "cp38", "38", "3.8.10", "py3.8", "Python 3.8", "python3.8", "CP38"]
)
def test_python_spellings_are_one_python(spelling: str) -> None:
    assert python_name(spelling) == "3.8"


def test_python_3_10_is_not_3_1() -> None:
    assert python_name("cp310") == python_name("310") == python_name("3.10.2") == "3.10"
    assert python_name("3.1") == "3.1"
    assert python_name("3.14.0rc2") == python_name("3.14.0+") == "3.14"


@pytest.mark.parametrize("other", ["3.13t", "3.13.0t", "cp313t", "3.13.foo"])
def test_a_python_without_the_global_lock_is_another_one(other: str) -> None:
    with pytest.raises(ValueError, match="Python"):
        python_name(other)


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("arm64", "aarch64"),
        ("linux/arm64", "aarch64"),
        ("Linux/ARM64/v8", "aarch64"),
        ("arm64v8", "aarch64"),
        ("linux/amd64", "x86_64"),
        ("AArch64", "aarch64"),
        ("amd64", "x86_64"),
        ("x86-64", "x86_64"),
        ("X64", "x86_64"),
    ],
)
def test_arch_spellings(spelling: str, name: str) -> None:
    assert arch_name(spelling) == name


@pytest.mark.parametrize("spelling", ["arm", "armhf", "armv7l", "armv8l", "x86", "i386", "i686", "x32"])
def test_architectures_of_32_bits_are_no_other_spelling(spelling: str) -> None:
    assert has_32_bits(spelling)
    with pytest.raises(ValueError, match="has 32 bits; use aarch64"):
        arch_name(spelling)
    assert all(map(has_32_bits, ("linux/arm/v7", "linux/386", "arm32v7", "i686")))
    assert not any(map(has_32_bits, ("aarch64", "arm64", "x86_64", "x86-64", "amd64", "riscv64")))


@pytest.mark.parametrize(
    ("name", "torch", "release"),
    [
        ("v2.1.0-5.0.rc3", "2.1.0", "5.0.rc3"),
        ("v1.11.0-5.0.rc2.2", "1.11.0", "5.0.rc2.2"),
        ("v2.12.0-26.1.0", "2.12.0", "26.1.0"),
        ("2.0.4.tr5", None, "2.0.4"),
        ("v2.13.0", "2.13.0", None),
    ],
)
def test_branch_names(name: str, torch: str | None, release: str | None) -> None:
    assert (branch_name(name).torch, branch_name(name).release) == (torch, release)


@pytest.mark.parametrize("read", [cann_key, cann_name, python_name, arch_name, branch_name, version])
@pytest.mark.parametrize("text", ["", "x", "four", "3.x", "7.0 RC1 or so", "３.８"])
def test_unreadable_text_is_quoted_back(read: Callable[[str], object], text: str) -> None:
    with pytest.raises(ValueError, match=r"looks like|use aarch64") as caught:
        read(text)
    assert repr(text) in str(caught.value)


@given(st.text(max_size=12))
def test_any_text_is_read_or_quoted_back(text: str) -> None:
    for read in (cann_key, cann_name, python_name, arch_name, branch_name, version):
        assert readable(read, text) is None or repr(text) in str(readable(read, text))


NUMBER = st.integers(0, 30)


@given(st.lists(st.tuples(NUMBER, NUMBER, st.booleans(), NUMBER), min_size=2, max_size=2))
def test_candidates_come_before_every_release_of_their_minor(parts: list[tuple[int, int, bool, int]]) -> None:
    names = [f"{a}.{b}.{'RC' if candidate else ''}{c}" for a, b, candidate, c in parts]
    order = [(a, b, not candidate, c) for a, b, candidate, c in parts]
    assert (cann_key(names[0]) < cann_key(names[1])) == (order[0] < order[1])


@pytest.mark.parametrize("text", [">=" + "1" * 5000, "===what-you-like", ">=1,!=" + "1" * 5000, ">=", "1.0"])
def test_specifiers_that_nothing_can_be_compared_with_are_refused(text: str) -> None:
    """Where they stand in what others wrote, `contains` would end in a traceback."""
    with pytest.raises(ValueError):  # noqa: PT011 - whichever it is
        specifiers(text)


def test_specifiers_are_read() -> None:
    assert specifiers(">=2.1,!=2.3.*").contains("2.2")
    assert specifiers("").contains("1")

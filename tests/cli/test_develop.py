"""What `wheelmill test-adapter` installs beside the wheels under test."""

from __future__ import annotations

from wheelmill.prove.suites import (
    MORE_PROGRAM_PACKAGES,
    MORE_PROGRAMS,
    PROGRAM_PACKAGES,
    PROGRAMS,
    program_packages,
    takes_programs,
)


def test_programs_of_others_are_tested_where_their_packages_can_be_installed() -> None:
    assert takes_programs("2.13.0", "3.11")
    assert takes_programs("2.6.0", "3.13")
    assert not takes_programs("2.5.1", "3.11")
    assert not takes_programs("2.13.0", "3.10")
    assert not takes_programs("1.11.0", "3.9")


def test_their_versions_are_pinned() -> None:
    assert all(package.count("==") == 1 for package in (*PROGRAM_PACKAGES, *MORE_PROGRAM_PACKAGES))


def test_those_that_take_long_are_installed_with_tests_on_demand_alone() -> None:
    assert program_packages("2.13.0", "3.10", ("-m", "on_demand")) == {}
    assert list(program_packages("2.13.0", "3.11", ())) == [PROGRAMS]
    assert list(program_packages("2.13.0", "3.11", ("-m", "not on_demand and x"))) == [PROGRAMS]
    found = program_packages("2.13.0", "3.11", ("-m", "on_demand", "-k", "peft"))
    assert set(found[MORE_PROGRAMS]) == {*MORE_PROGRAM_PACKAGES, "torch==2.13.0"}

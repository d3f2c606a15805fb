"""Without a choice, the host compiles what it can, a container the rest; where neither can, both say why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from wheelmill.errors import WheelmillError
from wheelmill.make.containers import ContainerError
from wheelmill.make.engines import BundleResult, Engine, EngineError, Job
from wheelmill.make.engines.auto import AutoEngine
from wheelmill.make.plan import BuildImage, BundleRecipe
from wheelmill.make.toolchain.compiler import CompilerError
from wheelmill.progress import Progress, silent


@dataclass
class Compiles:
    """An engine for some architectures that remembers what it built."""

    name: str
    arches: tuple[str, ...]
    built: list[str] = field(default_factory=list)

    def identity(self, arch: str, policy: str) -> str:
        if arch not in self.arches:
            raise CompilerError(f"{self.name} has no compiler for {arch}", hint="apt-get install one")
        return f"{self.name} {arch}"

    def image(self, arch: str, policy: str) -> BuildImage:
        return BuildImage()

    def compilers(self) -> int:
        return 2

    def build(self, job: Job, progress: Progress) -> BundleResult:
        self.built.append(job.recipe.arch)
        return BundleResult(Path(), {})


def job(arch: str) -> Job:
    recipe = BundleRecipe("9.1.0", arch, True, "0" * 64, "1" * 64, "compiler")
    return Job(recipe, Path(), Path(), Path(), Path())


def refusing(error: WheelmillError) -> Callable[[], Engine]:
    def make() -> Engine:
        raise error

    return make


def test_the_host_compiles_what_it_can_and_a_container_the_rest() -> None:
    host, container, told = Compiles("host", ("x86_64",)), Compiles("docker", ("x86_64", "aarch64")), []
    engine = AutoEngine(host, lambda: container, told.append)
    assert [engine.identity(arch, "p") for arch in ("x86_64", "aarch64")] == ["host x86_64", "docker aarch64"]
    for arch in ("aarch64", "x86_64", "aarch64"):
        engine.build(job(arch), silent)
    assert (host.built, container.built) == (["x86_64"], ["aarch64", "aarch64"])
    assert len(told) == 1
    assert "aarch64" in told[0]
    assert "container" in told[0]


def test_no_container_is_asked_for_where_the_host_can() -> None:
    engine = AutoEngine(Compiles("host", ("x86_64",)), refusing(ContainerError("no engine answers")), silent)
    assert engine.identity("x86_64", "p") == "host x86_64"


def test_where_neither_can_both_reasons_and_the_shortest_ways_are_told() -> None:
    engine = AutoEngine(Compiles("host", ()), refusing(ContainerError("no engine answers")), silent)
    with pytest.raises(EngineError) as caught:
        engine.identity("aarch64", "p")
    assert "host has no compiler for aarch64" in caught.value.message
    assert "no engine answers" in caught.value.message
    assert "apt-get install one" in (caught.value.hint or "")
    assert "bash ci/machine.sh" in (caught.value.hint or "")

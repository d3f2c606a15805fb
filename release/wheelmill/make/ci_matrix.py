"""A plan as a job matrix for GitHub Actions: a job per bundle, in chunks that a matrix may have. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wheelmill.errors import WheelmillError

if TYPE_CHECKING:
    from wheelmill.make.plan import Plan
    from wheelmill.matrix import Cell

Job = Mapping[str, Any]

RUNNERS = {"x86_64": "ubuntu-24.04", "aarch64": "ubuntu-24.04-arm"}


def labels(words: Iterable[str], known: Mapping[str, str] = RUNNERS) -> dict[str, str]:
    """The runner's label of each arch: those known of a CI, or what `ARCH=LABEL` words say."""
    found = dict(known)
    for word in words:
        arch, equals, label = word.partition("=")
        if not equals or arch not in known or not label:
            raise WheelmillError(
                f"--runner {word!r} does not name a runner.",
                hint=f"Write ARCH=LABEL, ARCH one of {', '.join(known)}: --runner aarch64=my-arm-machine",
            )
        found[arch] = label
    return found


@dataclass(frozen=True)
class Work:
    """What one machine does at a time: a bundle that has cells to build, and these cells."""

    name: str
    torch: str
    arch: str
    policy: str
    cells: tuple[Cell, ...]

    @property
    def words(self) -> str:
        """The cells, as words for `wheelmill build`."""
        return " ".join(cell.key for cell in self.cells)


def works(made: Plan) -> tuple[Work, ...]:
    """One for every bundle that has a cell to build."""
    found = []
    for group in made.groups:
        todo = tuple(step.cell for step in group.steps if step.state == "to build")
        if todo:
            bundle = group.bundle
            found.append(Work(bundle.name, bundle.torch, bundle.arch, todo[0].manylinux, todo))
    return tuple(found)


def jobs(made: Plan, runners: Mapping[str, str]) -> tuple[Job, ...]:
    """A job of GitHub for every bundle that has a cell to build, with those cells."""
    return tuple(
        {
            "name": work.name,
            "runner": runners[work.arch],
            "torch": work.torch,
            "arch": work.arch,
            "pythons": " ".join(dict.fromkeys(cell.python for cell in work.cells)),
            "cells": work.words,
        }
        for work in works(made)
    )


def render(found: Sequence[Job], size: int, *, chunk: int | None = None, numbers: bool = False) -> str:
    """One line of JSON: the matrix of all jobs or of the `chunk`-th `size` of them, or the chunks' numbers.

    Raises WheelmillError when all jobs are more than `size`, or there is no such chunk.
    """
    chunks = [found[start : start + size] for start in range(0, len(found), size)]
    if numbers:
        return json.dumps({"chunk": list(range(1, len(chunks) + 1))})
    if chunk is not None and chunk > len(chunks):
        raise WheelmillError(
            f"There is no chunk {chunk}: {len(found)} jobs are {len(chunks)} chunks of at most {size}.",
            hint="--chunks gives the numbers that there are.",
        )
    if chunk is None and len(chunks) > 1:
        raise WheelmillError(
            f"{len(found)} jobs are more than one matrix of {size}.",
            hint=f"Take them in chunks, --chunk 1 to --chunk {len(chunks)}; --chunks gives these numbers as "
            "a matrix for the job that calls a workflow per chunk.",
        )
    return json.dumps({"include": list(chunks[chunk - 1] if chunk else found)})

"""A plan as a child pipeline of GitLab CI: a job per bundle, in PyPA's image of its platform policy. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from wheelmill.make.ci_matrix import Work

RUNNERS = {"x86_64": "saas-linux-medium-amd64", "aarch64": "saas-linux-medium-arm64"}
Image = Callable[[str, str], str]  # of a policy and an arch, by its digest
PYTHON = "/opt/python/cp312-cp312/bin/python"  # in every image of PyPA


def pipeline(wanted: Iterable[Work], runners: Mapping[str, str], image: Image) -> dict[str, Any]:
    """The document for `trigger: include: artifact:`; a job that says so where there is nothing to build."""
    jobs = {work.name: _job(work, runners[work.arch], image(work.policy, work.arch)) for work in wanted}
    # GitLab refuses a pipeline without jobs.
    nothing = {"nothing-to-build": {"stage": "build", "script": ["echo nothing to build"]}}
    return {"stages": ["build"], **(jobs or nothing)}


def _job(work: Work, runner: str, image: str) -> dict[str, Any]:
    return {
        "stage": "build",
        "image": image,
        "tags": [runner],
        "variables": {"GIT_DEPTH": "0"},  # wheels get the time of the adapter's last commit
        "script": [
            f"{PYTHON} -m venv .venv && .venv/bin/pip install -q -e '.[make]'",
            f".venv/bin/wheelmill build --engine host --no-smoke --keep-going {work.words}",
        ],
        "artifacts": {"when": "always", "paths": [".wheelmill/wheels", ".wheelmill/logs"]},
    }

"""A plan as Indexed Jobs of Kubernetes: a Job per image, an index per bundle. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from wheelmill.errors import WheelmillError
from wheelmill.make.ci_gitlab import PYTHON, Image
from wheelmill.make.ci_matrix import Work

_ARCHES = {"x86_64": "amd64", "aarch64": "arm64"}
_SECRET = "wheelmill"  # what pods get as variables: the key of the remote store
_SCRIPT = f"""\
git clone -q "$REPOSITORY" /tmp/sources
cd /tmp/sources
git checkout -q "$COMMIT"
{PYTHON} -m venv /tmp/venv
/tmp/venv/bin/pip install -q -e '.[make]'
/tmp/venv/bin/wheelmill build --engine host --no-smoke --keep-going $(cat "/cells/$JOB_COMPLETION_INDEX")
"""


@dataclass(frozen=True)
class Cluster:
    """What pods work with: the sources at a commit, and the store that takes what they make."""

    repository: str
    commit: str
    remote: str


def manifests(wanted: Iterable[Work], cluster: Cluster, image: Image) -> list[dict[str, Any]]:
    """A ConfigMap with the cells of each index and its Job, for every image that is needed.

    Raises WheelmillError for an image that is not named by its digest.
    """
    by_image: dict[tuple[str, str], list[Work]] = defaultdict(list)
    for work in wanted:
        by_image[work.arch, work.policy].append(work)
    found = []
    for (arch, policy), works in by_image.items():
        pinned = image(policy, arch)
        if "@sha256:" not in pinned:
            raise WheelmillError(f"{pinned} is not named by a digest.", hint="Write IMAGE@sha256:...")
        name = f"wheels-{policy}-{arch}".replace("_", "-")
        found += [_cells(name, works), _job(name, works, arch, pinned, cluster)]
    return found


def _cells(name: str, works: list[Work]) -> dict[str, Any]:
    data = {str(index): work.words for index, work in enumerate(works)}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def _job(name: str, works: list[Work], arch: str, image: str, cluster: Cluster) -> dict[str, Any]:
    variables = {
        "REPOSITORY": cluster.repository,
        "COMMIT": cluster.commit,
        "WHEELMILL_REMOTE": cluster.remote,
    }
    container = {
        "name": "build",
        "image": image,
        "command": ["bash", "-euc", _SCRIPT],
        "env": [{"name": key, "value": value} for key, value in variables.items()],
        "envFrom": [{"secretRef": {"name": _SECRET, "optional": True}}],
        "resources": {"requests": {"cpu": "4", "memory": "8Gi"}},
        "volumeMounts": [{"name": "cells", "mountPath": "/cells", "readOnly": True}],
    }
    pod = {
        "restartPolicy": "Never",
        "nodeSelector": {"kubernetes.io/arch": _ARCHES[arch]},
        "containers": [container],
        "volumes": [{"name": "cells", "configMap": {"name": name}}],
    }
    spec = {
        "completionMode": "Indexed",
        "completions": len(works),
        "parallelism": len(works),
        # One bundle that does not compile leaves the others alone.
        "backoffLimitPerIndex": 1,
        "maxFailedIndexes": len(works),
        "template": {"spec": pod},
    }
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": spec}

"""Dask's library, imported when it is needed, and quiet: what users should read is said by this project."""

from __future__ import annotations

from typing import Any

from wheelmill.make.cluster import ClusterError


def distributed() -> Any:
    """The module. Raises ClusterError when it is not installed."""
    try:
        import dask

        dask.config.set({"logging.distributed": "critical"})
        import distributed as module
    except ModuleNotFoundError:
        raise ClusterError(
            "a cluster needs Dask, which is not installed",
            hint="install the extra `cluster`: pip install -e '.[cluster]' in the checkout",
        ) from None
    return module

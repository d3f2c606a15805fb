"""wheelmill: one compatibility matrix drives builds, audits, smoke runs, the index and the picker."""

from __future__ import annotations

__version__ = "0.1.0"

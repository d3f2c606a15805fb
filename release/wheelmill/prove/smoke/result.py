"""What a smoke run ended with."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from wheelmill.errors import WheelmillError
from wheelmill.prove.smoke.steps import Failure, Step

Status = Literal["passed", "failed", "not run"]
SCHEMA = 1


class SmokeError(WheelmillError):
    """A wheel that did not install or did not run as it should."""


@dataclass(frozen=True)
class SmokeResult:
    """`printed` is what the example printed, `max_error` the largest difference from the CPU's result.

    `wheels` maps the files that pip took from the index to their SHA-256; `fallbacks` names the operators
    that ran on the CPU; `environment` is the run's directory where it was kept; `reason` says why there was
    no run.
    """

    cell: str
    status: Status
    steps: tuple[Step, ...] = ()
    printed: str = ""
    device: str = ""
    max_error: float | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    wheels: Mapping[str, str] = field(default_factory=dict)
    fallbacks: tuple[str, ...] = ()
    failure: Failure | None = None
    environment: Path | None = None
    reason: str | None = None

    @classmethod
    def not_run(cls, cell: str, reason: str) -> SmokeResult:
        """This machine cannot run the cell."""
        return cls(cell, "not run", reason=reason)

    @classmethod
    def failed(cls, cell: str, home: Path, steps: tuple[Step, ...], failure: Failure) -> SmokeResult:
        """A step failed; everything is left for a look."""
        return cls(cell, "failed", steps, failure=failure, environment=home)

    @classmethod
    def passed(
        cls,
        cell: str,
        home: Path,
        steps: tuple[Step, ...],
        found: Mapping[str, Any],
        wheels: Mapping[str, str],
    ) -> SmokeResult:
        """Everything ran; `found` is the probe's."""
        return cls(
            cell,
            "passed",
            steps,
            printed=found["printed"],
            device=found["device"],
            max_error=found["max_error"],
            versions=found["versions"],
            wheels=wheels,
            fallbacks=tuple(found["fallbacks"]),
            environment=home,
        )

    def without_environment(self) -> SmokeResult:
        """The same after its directory was removed."""
        return dataclasses.replace(self, environment=None)

    @property
    def ok(self) -> bool:
        """The wheels were installed and run."""
        return self.status == "passed"

    @property
    def seconds(self) -> dict[str, float]:
        """How long each finished step took."""
        return {step.name: step.seconds for step in self.steps}

    def check(self) -> SmokeResult:
        """Itself when the run passed or was not possible here; raises SmokeError when it failed."""
        if self.failure is None:
            return self
        raise SmokeError(
            f"{self.cell}: {self.failure.render()}",
            hint=f"All of its output: {self.failure.log}\nThe environment is kept: {self.environment}",
        )

    def to_json(self) -> dict[str, Any]:
        """For machines and for the store."""
        return {
            "schema": SCHEMA,
            "cell": self.cell,
            "status": self.status,
            "reason": self.reason,
            "printed": self.printed,
            "device": self.device,
            "max_error": self.max_error,
            "versions": dict(self.versions),
            "wheels": dict(self.wheels),
            "fallbacks": list(self.fallbacks),
            "seconds": self.seconds,
            "failure": None if self.failure is None else self.failure.to_json(),
            "environment": None if self.environment is None else str(self.environment),
        }

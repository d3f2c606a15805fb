"""The gate: a wheel's facts and what is expected of it go through every rule and become one verdict."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from wheelmill.limits import parse_json
from wheelmill.matrix.rules.frame import Rule, rules_of
from wheelmill.prove.audit import contents, metadata, native, placed, window
from wheelmill.prove.audit.model import AuditError, Expectation, Terms, Verdict
from wheelmill.prove.audit.platforms import (
    PlatformAnalysis,
    Policies,
    family_of,
    platform_of,
    policies_for,
)
from wheelmill.prove.audit.rules import Case, apply, unreadable
from wheelmill.prove.audit.symbols import Sdk
from wheelmill.store import digest_file
from wheelmill.wheel.errors import WheelError
from wheelmill.wheel.facts import RECIPE, WheelFacts, read_wheel
from wheelmill.wheel.name import parse_name, tag_policy

RULES: tuple[Rule[Case], ...] = tuple(
    one for topic in (contents, placed, metadata, native, window) for one in rules_of(topic)
)


def audit(wheel: Path, expectation: Expectation, *, sdk_lib: Path | None = None) -> Verdict:
    """Judge one wheel; nothing is installed, run or changed.

    `sdk_lib`: torch/lib of the target torch, to look undefined symbols up in. Any machine can audit wheels
    for any architecture. Raises WheelError when there is no such wheel, and AuditError when there is no such
    policy, architecture or SDK; everything that is wrong with the wheel itself is in the verdict.
    """
    facts = read_wheel(wheel, expectation.build_roots)
    if _is_of_bundle(facts):
        expectation = dataclasses.replace(expectation, house=True)
    family = family_of(expectation.policy)
    policies = policies_for(expectation.arch, family) if expectation.arch else None
    platform = _platform(facts, expectation, policies)
    if expectation.earned and expectation.policy is None and platform is not None:
        expectation = dataclasses.replace(expectation, policy=tag_policy(platform.tag))
    case = Case(
        wheel=facts,
        expected=expectation,
        policies=policies,
        platform=platform,
        sdk=None if sdk_lib is None else Sdk(sdk_lib),
    )
    full_policy = policies.full_name(expectation.policy) if policies and expectation.policy else None
    return Verdict(
        wheel=wheel.name,
        sha256=facts.sha256,
        platforms=facts.name.platforms,
        policy=full_policy,
        platform_tag=_deserved(case),
        native_files=len(facts.loaded),
        findings=tuple(apply(RULES, case)),
        policy_tag=policies.tag(full_policy) if policies and full_policy else None,
    )


def _is_of_bundle(facts: WheelFacts) -> bool:
    """Whether the wheel was assembled from a bundle here; a described project's says that it was not."""
    if f"{facts.dist_info}/{RECIPE}" not in facts.names:
        return False
    try:
        stamp = parse_json(facts.texts.get(f"{facts.dist_info}/{RECIPE}", b"{}"))
    except ValueError:
        return True
    return not isinstance(stamp, dict) or stamp.get("kind") != "package"


def judge(wheel: Path, policy: str | None = None, terms: Terms | None = None) -> Verdict:
    """Judge a wheel of any make by what its file name promises, or by `policy`; `terms` are its project's.

    What keeps it from being judged is its verdict, too: other wheels are not kept waiting for it.
    """
    try:
        expectation = Expectation.from_name(parse_name(wheel.name))
        if terms is not None and terms.project == expectation.project:
            expectation = terms.asked(expectation)
        return audit(wheel, dataclasses.replace(expectation, policy=policy or _standing(expectation)))
    except (AuditError, WheelError) as error:
        return unjudged(wheel, error.message, error.hint)
    except ModuleNotFoundError:  # the command line says what to install
        raise
    except Exception as error:
        return unjudged(wheel, f"cannot be judged: {type(error).__name__}: {error}".rstrip(": "))


def _standing(expectation: Expectation) -> str | None:
    """The policy of the wheel's tag, or the one in whose stead auditwheel has another."""
    arch, policy = expectation.arch, expectation.policy
    return policies_for(arch, family_of(policy)).standing(policy) if arch and policy else policy


def unjudged(wheel: Path, message: str, hint: str | None = None) -> Verdict:
    """The verdict on a wheel that could not be looked at: refused."""
    sha256 = digest_file(wheel) if wheel.is_file() else ""
    return Verdict(wheel.name, sha256, (), None, "", 0, (unreadable(message, hint or ""),))


def _platform(
    facts: WheelFacts, expectation: Expectation, policies: Policies | None
) -> PlatformAnalysis | None:
    """auditwheel's answer, where its question makes sense: every native file is for the expected machine.

    It is asked only about what reading found no fault in.
    """
    machines = {native.machine for native in facts.loaded}
    if policies is None or machines != {policies.arch} or not facts.whole:
        return None
    return platform_of(facts, policies, expectation)


def _deserved(case: Case) -> str:
    if case.platform is not None:
        return case.platform.tag
    return f"linux_{case.expected.arch}" if case.expected.arch else "any"

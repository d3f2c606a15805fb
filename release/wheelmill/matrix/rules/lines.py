"""Rules about one row of the compatibility table, and about rows among each other."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator

from wheelmill.errors import Finding
from wheelmill.matrix.rules.base import LineView, Subject, hit, out_of_order, readable
from wheelmill.matrix.rules.frame import rule
from wheelmill.matrix.versions import base_version, branch_name, cann_key, is_canonical, version


@rule(both_views=True)
def canonical_version(subject: Subject) -> Iterator[Finding]:
    """Adapter versions are PEP 440 in canonical form"""
    for line in subject.lines:
        wrong = readable(version, line.adapter)
        if wrong:
            yield line.hit("adapter", f"adapter {wrong}", "write the version that pip writes")
        elif not is_canonical(line.adapter):
            canonical = version(line.adapter)
            yield line.hit(
                "adapter",
                f"adapter {line.adapter!r} is not canonical, pip reads {canonical}",
                f"write {canonical}",
            )


@rule(both_views=True)
def base_is_torch(subject: Subject) -> Iterator[Finding]:
    """The base version of an adapter wheel is the version of its torch"""
    for line in subject.lines:
        base = base_version(line.adapter)
        if base != line.torch:
            yield line.hit(
                "torch",
                f"adapter {line.adapter} belongs to torch {base}, the row says torch {line.torch}",
                "correct torch or adapter; keep what was published under `published:`",
            )


@rule(both_views=True)
def branch_names_torch(subject: Subject) -> Iterator[Finding]:
    """The torch in a branch's name is the torch of its row"""
    for line in subject.lines:
        wrong = readable(branch_name, line.branch)
        if wrong:
            yield line.hit("branch", wrong, "write v{torch}-{release}, or v{torch} for a development line")
            continue
        named = branch_name(line.branch).torch
        if named not in (None, line.torch):
            yield line.hit(
                "torch",
                f"the branch is for torch {named}, the row says torch {line.torch}",
                "correct torch or branch; keep what was published under `published:`",
            )


@rule(both_views=True)
def image_names_torch(subject: Subject) -> Iterator[Finding]:
    """The torch in an image's tag is the torch of its row"""
    for line in subject.lines:
        _, dash, named = (line.row.image or "").rpartition("-")
        if dash and named != line.torch:
            yield line.hit(
                "image" if not line.published else "torch",
                f"image {line.row.image} is for torch {named}, the row says torch {line.torch}",
                "correct torch or image",
            )


@rule(both_views=True)
def cann_version(subject: Subject) -> Iterator[Finding]:
    """CANN versions are written as CANN writes them"""
    for line in subject.lines:
        wrong = readable(cann_key, line.cann)
        if wrong:
            yield line.hit("cann", wrong, "write the number without the word CANN, e.g. 7.0.RC1")


@rule()
def unique_adapter_version(subject: Subject) -> Iterator[Finding]:
    """One adapter version belongs to one branch"""
    first: dict[str, LineView] = {}
    for line in subject.lines:
        other = first.setdefault(line.adapter, line)
        if other is not line:
            where = f"{other.branch} on line {other.line('adapter')}"
            yield line.hit(
                "adapter", f"adapter {line.adapter} is also that of {where}", "give each its own version"
            )


@rule()
def versions_rise_with_cann(subject: Subject) -> Iterator[Finding]:
    """Within one torch, a later adapter version has the same or a later CANN"""
    by_torch: dict[str, list[LineView]] = defaultdict(list)
    for line in subject.lines:
        # What cannot be read is another rule's finding.
        if not readable(version, line.adapter) and not readable(cann_key, line.cann):
            by_torch[line.torch].append(line)
    for lines in by_torch.values():
        lines.sort(key=lambda line: version(line.adapter))
        for older, newer in itertools.pairwise(lines):
            if cann_key(newer.cann) < cann_key(older.cann):
                yield newer.hit(
                    "cann",
                    f"adapter {newer.adapter} has CANN {newer.cann}, older {older.adapter} ({older.branch}) "
                    f"has CANN {older.cann}",
                    "correct the CANN or the adapter version of one of them",
                )


@rule()
def series_fits_branch(subject: Subject) -> Iterator[Finding]:
    """A row's series is that of its release or of its torch"""
    for line in subject.lines:
        series = line.row.series
        if series is None or readable(branch_name, line.branch):
            continue
        release = branch_name(line.branch).release or ""
        if series != line.torch and release != series[1:] and not release.startswith(f"{series[1:]}."):
            yield line.hit(
                "series",
                f"series {series} does not fit the branch",
                f"take {f'v{release} or ' if release else ''}{line.torch}",
            )


@rule()
def published_differs(subject: Subject) -> Iterator[Finding]:
    """A `published:` block holds only values that differ, with a reason, and names its document"""
    for line in subject.lines:
        row, printed = line.row, line.row.published
        if (row.source is None) != (row.kind == "development"):
            yield line.hit(
                "source", f"kind {row.kind}, source {row.source}", "published rows name their document"
            )
        if printed is None:
            continue
        values = {name: getattr(printed, name) for name in ("cann", "torch", "adapter")}
        if not any(values.values()):
            yield line.hit("published", "no published value is given", "add one, or remove the block")
        for name, value in values.items():
            if value == getattr(row, name):
                yield hit(
                    printed.at.of(name),
                    f"{row.branch}: {name} {value} is held true as well",
                    "remove it here",
                )
        if not printed.reason.strip():
            yield hit(
                printed.at.of("reason"), f"{row.branch}: the reason is empty", "say why it is not believed"
            )


@rule(both_views=True)
def held_otherwise(subject: Subject) -> Iterator[Finding]:
    """A published version that is well-formed, yet is not held true, is named"""
    for line in subject.lines:
        if line.adapter != line.row.adapter and is_canonical(line.adapter):
            yield line.hit("adapter", f"adapter {line.adapter} is not what the row holds", "")
        if line.cann != line.row.cann and not readable(cann_key, line.cann):
            yield line.hit("cann", f"CANN {line.cann} is not what the row holds", "")


@rule()
def record_has_reason(subject: Subject) -> Iterator[Finding]:
    """A row that cannot be built says why"""
    for line in subject.lines:
        if not line.row.buildable and not (line.row.reason or "").strip():
            yield line.hit("buildable", "not buildable, and no reason", "add reason:")
        if line.row.buildable and line.row.reason is not None:
            yield line.hit(
                "reason", "buildable, yet a reason why not", "remove reason:, or write buildable: false"
            )


@rule()
def development_is_unpublished(subject: Subject) -> Iterator[Finding]:
    """A development row has a .dev version and no published wheels; a published row has neither"""
    for line in subject.lines:
        row = line.row
        if readable(version, row.adapter):
            continue
        in_development = row.kind == "development"
        if version(row.adapter).is_devrelease != in_development:
            yield line.hit(
                "adapter", f"kind {row.kind} with version {row.adapter}", "correct kind or adapter"
            )
        if in_development and (row.on_index or row.download):
            yield line.hit(
                "kind", "a development row cannot be on an index", "remove on_index: and download:"
            )
        if row.on_index and row.download:
            yield line.hit("download", "the package index has the wheels as well", "keep on_index: only")


@rule()
def newest_first(subject: Subject) -> Iterator[Finding]:
    """Rows stand newest first: by torch, then by adapter version"""
    readable_lines = [line for line in subject.lines if not readable(version, line.adapter)]
    readable_lines = [line for line in readable_lines if not readable(version, line.torch)]
    pairs = out_of_order(readable_lines, key=lambda line: (version(line.torch), version(line.adapter)))
    for above, below in pairs:
        yield below.hit("branch", f"newer than {above.branch} above it", f"move the row above {above.branch}")

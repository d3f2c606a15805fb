"""Wheel variants of an index, for uv's preview: views with variant wheels and `variants.json`, too.

```
cann-9.0.0/910b/simple/some-name/                        as in the index, and
  some_name-2.9.0-variants.json                          which variants this machine takes, the best first
files/<sha256>/some_name-2.9.0-...-cann9.0.0.whl         the wheel with a variant.json, stored once
```
It is a tree of its own: variant wheels are made from the wheels of an index, in one way, and can be made
again. Installers without variants take the plain wheel, which every page has.

The property is `ascend :: cann_version :: 9.0.0`. No provider has to be installed: a view is for one machine,
so its values are static. A wheel names the one that it was made for, a view those that its machine runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from wheelmill.make.metadata import SIMULATOR
from wheelmill.matrix.own import own_packages
from wheelmill.publish.index.layout import MERGED, Layout, View
from wheelmill.publish.index.pages import Writer
from wheelmill.publish.index.records import IndexFaultError, WheelRecord, canonical_project
from wheelmill.publish.index.tree import BuiltIndex, read_index, write_pages
from wheelmill.store import digest_file
from wheelmill.wheel.facts import open_wheel
from wheelmill.wheel.wheelfile import rewrite

if TYPE_CHECKING:
    from variantlib.models.variant_info import VariantInfo

NAMESPACE, FEATURE = "ascend", "cann_version"


@dataclass(frozen=True)
class Variant:
    """A variant wheel beside the wheel that it was made from."""

    plain: WheelRecord
    record: WheelRecord
    cann: str

    @property
    def label(self) -> str:
        """`cann9.0.0`"""
        return label_of(self.cann)


def label_of(cann: str) -> str:
    """`8.0.RC3` -> `cann8.0.rc3`: letters that a label may have."""
    return f"{own_packages().sdk}{cann}".lower()


def write_variants(index: Path, out: Path, layout: Layout, work: Path) -> BuiltIndex:
    """Make `out` the tree of an index's variants; the same index and layout give the same bytes.

    Variant wheels are made in the folder `work`, and linked. Raises IndexFaultError.
    """
    records = read_index(index)
    if not any(record.canns for record in records):
        raise IndexFaultError(
            f"{index} has no wheel for a {own_packages().sdk}",
            hint="Variants are of an index that was released to: wheelmill release run LINE",
        )
    made = {record.filename: _variant(record, work) for record in records if _is_for_a_cann(record)}
    pages: dict[tuple[str, str], Mapping[str, bytes]] = {}
    for project, group in groupby(records, key=lambda record: record.project):
        of_project = list(group)
        pages[MERGED, project] = Writer(project).pages(MERGED, of_project)
        for view in layout.views:
            kept = list(view.of(of_project)) if any(record.canns for record in of_project) else []
            for root in view.paths if kept else ():
                pages[root, project] = _page(root, project, kept, made, view)
    used = [*records, *(variant.record for variant in made.values())]
    return write_pages(out, used, pages)


def _is_for_a_cann(record: WheelRecord) -> bool:
    return len(record.canns) == 1 and record.project != canonical_project(SIMULATOR)


def _variant(record: WheelRecord, work: Path) -> Variant:
    from variantlib.api import VariantDescription, VariantProperty, make_variant_dist_info

    (cann,) = record.canns
    value, label = cann.lower(), label_of(cann)
    described = VariantDescription([VariantProperty(NAMESPACE, FEATURE, value)], label)
    text = make_variant_dist_info(described, variant_info=_info([value]))
    assert record.path is not None  # read_index says where each lies
    tag = "-".join(record.filename.removesuffix(".whl").split("-")[-3:])
    made = rewrite(record.path, work, tag=tag, variant=(label, text.encode()))
    return Variant(
        record,
        replace(
            record,
            filename=made.name,
            sha256=digest_file(made),
            size=made.stat().st_size,
            path=made,
            metadata=open_wheel(record.path, record.filename).metadata.raw,
            sides=(),
        ),
        cann,
    )


def _info(values: Sequence[str]) -> VariantInfo:
    """Static values of the only feature, the best first."""
    from variantlib.models.variant_info import ProviderInfo, VariantInfo

    provider = ProviderInfo(static_properties={FEATURE: list(values)}, feature_order=[FEATURE])
    return VariantInfo(namespace_priorities=[NAMESPACE], providers={NAMESPACE: provider})


def _page(
    root: str, project: str, kept: Sequence[WheelRecord], made: Mapping[str, Variant], view: View
) -> dict[str, bytes]:
    """A view's page of one project: its plain wheels, their variants, and what says of each version."""
    variants = [made[record.filename] for record in kept if record.filename in made]
    beside = dict(_variants_json(variants, view))
    return Writer(project).pages(root, [*kept, *(one.record for one in variants)], beside=beside)


def _variants_json(variants: Iterable[Variant], view: View) -> Iterator[tuple[str, bytes]]:
    from variantlib.api import VariantDescription, VariantProperty, VariantsJson

    for version, group in groupby(variants, key=lambda one: one.plain.version):
        described = VariantsJson(_info([cann.lower() for cann in view.canns]))
        name = ""
        for one in group:
            name = one.plain.filename.partition("-")[0]
            properties = [VariantProperty(NAMESPACE, FEATURE, one.cann.lower())]
            described.variants[one.label] = VariantDescription(properties, one.label)
        yield f"{name}-{version}-variants.json", f"{described.to_str()}\n".encode()

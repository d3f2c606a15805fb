"""A small matrix that is in order, as text to break, and where the project's own lies."""

from __future__ import annotations

from pathlib import Path

COMPAT = Path(__file__).parents[2] / "matrix" / "compat.yaml"

SMALL = """\
schema: 1
torch_cpu_index: https://download.pytorch.org/whl/cpu
sources:
  - {name: readme, title: A README}
policies:
  - name: short
    source: readme
    released_in: maintained
    stages:
      - {stage: development, zh: 开发, time: 3个月, allows: [prerelease], meaning: 开发特性, months: [3, 3]}
      - {stage: maintained, zh: 维护, time: 6—12个月, allows: [fix, prerelease, release], meaning: 合入, months: [6, 12]}
      - {stage: eol, zh: 生命周期终止（EOL）, time: N/A, allows: [], meaning: 不再}
series:
  - name: v5.0.rc3
    policy: short
    released: 2023-10-15
    begins: {eol: 2024-10-15}
    published: {status: 维护, released: "2023/10/15", next: "预计2024/10/15", eol: ""}
lines:
  - branch: v2.1.0-5.0.rc3
    series: v5.0.rc3
    source: readme
    kind: published
    cann: 7.0.RC1
    torch: 2.1.0
    adapter: 2.1.0rc1
    pythons: ["3.8"]
    arches: [aarch64, x86_64]
    on_index: true
    buildable: true
    published: {adapter: 2.1.0.rc1, reason: Not canonical.}
python_support:
  - {source: readme, torch: 2.1.0, pythons: ["3.8"], published: Python3.8.x}
torches:
  - version: 2.1.0
    pythons: ["3.8", "3.9"]
    cxx_standard: 17
    cxx11_abi: {aarch64: false, x86_64: false}
    policies: {aarch64: manylinux_2_17, x86_64: manylinux_2_17}
    dependencies: [pyyaml]
    wheels:
      - {python: "3.8", arch: aarch64, sha256: aa00000000000000000000000000000000000000000000000000000000000001}
      - {python: "3.8", arch: x86_64, sha256: aa00000000000000000000000000000000000000000000000000000000000002}
release_notes:
  - version: 3.0.RC3
    series: v5.0.rc3
    torches: [2.1.0]
    hardware:
      - model: A800-9010
        arch: x86_64
        systems: {Ubuntu: ["18.04"]}
        published: Ubuntu 18.04
"""  # noqa: E501


def line_of(text: str, part: str) -> int:
    """The number (from 1) of the only line that holds `part`."""
    found = [number for number, line in enumerate(text.splitlines(), 1) if part in line]
    assert len(found) == 1, f"{part!r} stands on lines {found}"
    return found[0]

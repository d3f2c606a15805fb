"""The tables of the two founding documents as they were printed, to compare the matrix with."""

from __future__ import annotations

# CANN, PyTorch, adapter, branch, image ("-" for none): the README's table, row by row.
README_ROWS = """
7.0.RC1    | 2.1.0  | 2.1.0.rc1         | v2.1.0-5.0.rc3    | -
7.0.RC1    | 2.0.1  | 2.0.1             | v2.0.1-5.0.rc3    | -
7.0.RC1    | 1.11.0 | 1.11.0.post4      | v1.11.0-5.0.rc3   | -
6.3.RC3.1  | 1.11.0 | 1.11.0.post3      | v1.11.0-5.0.rc2.2 | -
6.3.RC3    | 1.11.0 | 1.11.0.post2      | v1.11.0-5.0.rc2.1 | -
6.3.RC2    | 2.0.1  | 2.0.1.rc1         | v2.0.1-5.0.rc2    | -
6.3.RC2    | 1.11.0 | 1.8.1.post2       | v1.8.1-5.0.rc2    | 23.0.RC1-1.8.1
6.3.RC2    | 1.8.1  | 1.11.0.post1      | v1.11.0-5.0.rc2   | 23.0.RC1-1.11.0
6.3.RC1    | 1.11.0 | 1.8.1.post1       | v1.8.1-5.0.rc1    | -
6.3.RC1    | 1.8.1  | 1.11.0            | v1.11.0-5.0.rc1   | -
6.0.1      | 1.5.0  | 1.5.0.post8       | v1.5.0-3.0.0      | 22.0.0
6.0.1      | 1.8.1  | 1.8.1             | v1.8.1-3.0.0      | 22.0.0-1.8.1
6.0.1      | 1.11.0 | 1.11.0.rc2（beta) | v1.11.0-3.0.0     | -
6.0.RC1    | 1.5.0  | 1.5.0.post7       | v1.5.0-3.0.rc3    | 22.0.RC3
6.0.RC1    | 1.8.1  | 1.8.1.rc3         | v1.8.1-3.0.rc3    | 22.0.RC3-1.8.1
6.0.RC1    | 1.11.0 | 1.11.0.rc1（beta) | v1.11.0-3.0.rc3   | -
5.1.RC2    | 1.5.0  | 1.5.0.post6       | v1.5.0-3.0.rc2    | 22.0.RC2
5.1.RC2    | 1.8.1  | 1.8.1.rc2         | v1.8.1-3.0.rc2    | 22.0.RC2-1.8.1
5.1.RC1    | 1.5.0  | 1.5.0.post5       | v1.5.0-3.0.rc1    | 22.0.RC1
5.1.RC1    | 1.8.1  | 1.8.1.rc1         | v1.8.1-3.0.rc1    | -
5.0.4      | 1.5.0  | 1.5.0.post4       | 2.0.4.tr5         | 21.0.4
5.0.3      | 1.8.1  | 1.5.0.post3       | 2.0.3.tr5         | 21.0.3
5.0.2      | 1.5.0  | 1.5.0.post2       | 2.0.2.tr5         | 21.0.2
"""

# Branch, status, release day, what follows ("N/A" for nothing): the README's branch-status table.
README_STATUS = """
v2.0.2   | EOL | 2021/7/29  | N/A
v2.0.3   | EOL | 2021/10/15 | N/A
v2.0.4   | EOL | 2022/1/15  | N/A
v3.0.rc1 | EOL | 2022/4/10  | N/A
v3.0.rc2 | EOL | 2022/7/15  | N/A
v3.0.rc3 | 维护 | 2022/10/20 | 预计2023/10/20起无维护
v3.0.0   | 维护 | 2023/1/18  | 预计2024/1/18起无维护
v5.0.rc1 | 维护 | 2023/4/19  | 预计2024/4/19起无维护
v5.0.rc2 | 维护 | 2023/7/19  | 预计2024/7/19起无维护
v5.0.rc3 | 维护 | 2023/10/15 | 预计2024/10/15起无维护
"""

# Operating systems per server and release note.
NOTES_SYSTEMS = """
3.0.RC3 | A800-9010 | CentOS 7.6/Ubuntu 18.04, 2.04/BC-Linux 7.6/Debian 9.9/Debian 10/OpenEuler 20.03 LTS
3.0.RC3 | A800-9000 | CentOS 7.6/Ubuntu 18.04, 2.04/Euler 2.8, 2.10/Kylin v10/BC-Linux 7.6/OpenEuler 20.03 LTS/UOS 20 1020e
2.0.3   | A800-9010 | CentOS 7.6/Ubuntu 18.04/BC-Linux 7.6/Debian 9.9/Debian 10/OpenEuler 20.03 LTS
2.0.3   | A800-9000 | CentOS 7.6/Euler 2.8/Kylin v10/BC-Linux 7.6/OpenEuler 20.03 LTS/UOS 20 1020e
2.0.2   | A800-9010 | CentOS 7.6/Ubuntu 18.04/BC-Linux 7.6/Debian 9.9/Debian 10/OpenEuler 20.03 LTS
2.0.2   | A800-9000 | CentOS 7.6/Euler 2.8/Kylin v10/BC-Linux 7.6/OpenEuler 20.03 LTS
"""  # noqa: E501

# sha256 of the README's links to torch 2.0.1 without CUDA.
README_TORCH = """
3.8  | 8046f49deae5a3d219b9f6059a1f478ae321f232e660249355a8bf6dcaa810c1
3.9  | 73482a223d577407c45685fde9d2a74ba42f0d8d9f6e1e95c08071dc55c47d7b
3.10 | fec257249ba014c68629a1994b0c6e7356e20e1afc77a87b9941a40e5095285d
"""


def rows(table: str) -> set[tuple[str, ...]]:
    """The cells of a table above."""
    return {tuple(cell.strip() for cell in line.split("|")) for line in table.strip().splitlines()}

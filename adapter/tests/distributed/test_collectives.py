"""Collectives between two ranks against one process; four and eight on demand."""

import collectives
import pytest
import ranks

SIZES = [2, *(pytest.param(size, marks=pytest.mark.on_demand) for size in (1, 4, 8))]


@pytest.fixture(scope="module", params=SIZES, ids=lambda size: f"{size} ranks")
def ended(request, tmp_path_factory):
    return ranks.run("collectives", collectives.ALL, request.param, tmp_path_factory.mktemp("group"))


@pytest.mark.parametrize("name", collectives.ALL)
def test_every_rank_has_what_one_process_computes(ended, name):
    for rank, one in enumerate(ended):
        assert name in one.problems, f"rank {rank} did not get there:\n{one.text}"
        assert one.problems[name] is None, f"rank {rank}:\n{one.problems[name]}"


def test_every_rank_ends_well(ended):
    assert [(one.code, one.text) for one in ended if one.code != 0] == []

"""Training over two ranks equals one process; four and eight on demand."""

import pytest
import ranks
import training
from npu_testing import TORCH

SIZES = [2, *(pytest.param(size, marks=pytest.mark.on_demand) for size in (1, 4, 8))]
FUNCTIONS = [*training.ALWAYS, *(training.SHARDED if TORCH >= (2, 6) else [])]


@pytest.fixture(scope="module", params=SIZES, ids=lambda size: f"{size} ranks")
def ended(request, tmp_path_factory):
    return ranks.run("training", FUNCTIONS, request.param, tmp_path_factory.mktemp("group"))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_rank_learns_what_one_process_learns(ended, name):
    for rank, one in enumerate(ended):
        assert name in one.problems, f"rank {rank} did not get there:\n{one.text}"
        assert one.problems[name] is None, f"rank {rank}:\n{one.problems[name]}"

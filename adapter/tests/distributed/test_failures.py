"""A rank that dies, hangs or never comes ends the others within the timeout, with a message naming it."""

import re

import ranks


def failure(function, folder, size=2, **options):
    """What rank 0 said, of a run that it must not survive."""
    first, second = ranks.run("failures", [function], size, folder, within=90, **options)[:2]
    assert first.code != 0, first.text
    return first.text, second


def test_a_dead_rank_is_named_and_its_result_is_not_believed(tmp_path):
    text, _ = failure("dies_in_an_operation", tmp_path)
    assert re.search(r"rank 1 \(process \d+ on [\d.]+\) was killed or crashed", text)
    assert "process group 0 (hccl, rank 0 of 2)" in text
    assert not re.search(r"^\d+\.0$", text, re.MULTILINE)


def test_a_rank_that_hangs_is_named_after_the_timeout(tmp_path):
    text, _ = failure("hangs", tmp_path, timeout=2)
    assert "still waiting for rank 1" in text
    assert not re.search(r"^\d+\.0$", text, re.MULTILINE)


def test_a_rank_that_does_not_come_is_named(tmp_path):
    text, _ = failure("does_not_come", tmp_path, timeout=2)
    assert "rank 1 did not come to the group's first operation within 2000 ms" in text
    assert "DistBackendError" in text


def test_two_ranks_of_one_device_are_told(tmp_path):
    text, second = failure("uses_another_ranks_device", tmp_path)
    for said in (text, second.text):
        assert "ranks 0 and 1 both use NPU 0" in said
        assert "torch.npu.set_device(local_rank)" in said


def test_ranks_that_disagree_are_told_with_what_they_called(tmp_path):
    text, second = failure("disagrees", tmp_path)
    for said in (text, second.text):
        assert "the ranks disagree" in said


def test_a_rank_that_ends_without_destroying_its_group_breaks_no_other(tmp_path):
    first, second = ranks.run("failures", ["ends_without_destroying"], 2, tmp_path)
    assert (first.code, second.code) == (0, 0), first.text + second.text

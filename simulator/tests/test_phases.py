"""What phase one accepts, phase two computes: every operator, with other types and without elements.

Each case is run with every pair of types, and with each of its operands (and all of them) without elements. A
call may be refused with a message; a kernel that fails for what could be known before may not happen.
"""

from __future__ import annotations

import pytest
import torch
from acl import JOINT, KERNELS, SIGNATURES, AclError, symbol
from cases import CASES
from cases.base import Case, X, Y, case
from cases.fused import SEEDED
from cases.shared import SHARED
from sweep import DIED, RAN, REFUSED, Sweeper, changed, emptied, is_tensor, values_of, with_types

#: Operators whose numbers only a seed decides: their results are no part of these tests.
UNCERTAIN: dict[str, Case] = {
    "InplaceRandomWithoutFromTo": case(X, 1, 0, gives=X),
    "Randperm": case(5, 1, 0, gives=torch.arange(5)),
    "SimThreadExponential": case(X, 12, 1.0, 1, 0, gives=X),
}
EVERY = {**CASES, **SHARED, **UNCERTAIN}
#: What a kernel may still say, because only what its operands hold decides it.
BY_VALUES = {
    "GatherPaKvCache": "tokens; 'blockTables' has",
    "GroupedMatmulV4": "'groupList' ends at",
    "GroupedMatmulV5": "'groupList' ends at",
    "GroupedMatmulWeightNz": "'groupList' ends at",
    "InplaceMaskedScatter": "Number of elements of source < number of ones in mask",
    "MaskedSelect": "its output has room for",
    "Nonzero": "its output has room for",
    "NonzeroV2": "its output has room for",
    "RepeatInterleaveGrad": "Number of indices",
}


def test_every_operator_is_here():
    assert set(EVERY) | JOINT == set(KERNELS)
    assert set(UNCERTAIN) == SEEDED


@pytest.mark.filterwarnings("ignore:Casting complex values")
@pytest.mark.parametrize("sweep", [with_types, emptied])
@pytest.mark.parametrize("name", sorted(EVERY))
def test_what_is_accepted_runs(simulator, name, sweep):
    with Sweeper(simulator, name) as sweeper:
        outcomes = sweeper.outcomes(sweep(name, EVERY[name]))
    by_values = BY_VALUES.get(name)
    died = {what: why for what, (outcome, why) in outcomes.items() if outcome == DIED}
    assert {what: why for what, why in died.items() if by_values is None or by_values not in why} == {}
    assert all(f"{symbol(name)}: " in why for outcome, why in outcomes.values() if outcome == REFUSED)


def alike(name: str) -> bool:
    """Whether the case has tensors of one shape only, so that none is asked for more than elements."""
    shapes = {tensor.shape for tensor in tensors_of(values_of(name, EVERY[name]))}
    return shapes == {X.shape}


def tensors_of(values: list[object]) -> list[torch.Tensor]:
    lists = [value if isinstance(value, list) else [value] for value in values if is_tensor(value)]
    return [tensor for tensors in lists for tensor in tensors]


#: Of one shape, and yet numbers beside them ask for rows.
NEEDS_ROWS = frozenset({"Eye", "IndexFillTensor", "InplaceIndexFillTensor"})


@pytest.mark.parametrize("name", [name for name in sorted(EVERY) if alike(name) and name not in NEEDS_ROWS])
def test_no_elements_are_taken_where_elements_are_all_that_matters(simulator, name):
    with Sweeper(simulator, name) as sweeper:
        calls = [call for call in emptied(name, EVERY[name]) if call[0] == "all without rows"]
        assert sweeper.outcomes(calls) == {"all without rows": (RAN, "")}


#: Tensors of int64 that CANN takes as int32, too: indices and labels.
INDICES = sorted(
    (name, index)
    for name, case in EVERY.items()
    for index, (parameter, value) in enumerate(zip(SIGNATURES[name], values_of(name, case), strict=True))
    if is_tensor(value) and tensors_of([value])[0].dtype == torch.int64 and not parameter.written
)


@pytest.mark.parametrize(("name", "index"), INDICES)
def test_indices_of_32_bits_are_those_of_64(simulator, name, index):
    values = values_of(name, EVERY[name])
    narrow = [*values]
    narrow[index] = changed(values[index], torch.Tensor.int)
    wanted, found = (results(simulator, name, call) for call in (values, narrow))
    torch.testing.assert_close(found, wanted, check_dtype=False)


def results(simulator, name, values):
    """What a call writes."""
    with Sweeper(simulator, name) as sweeper:
        assert sweeper.outcomes([("", values)]) == {"": (RAN, "")}
        return [
            sweeper.read(index, value)
            for index, (parameter, value) in enumerate(zip(SIGNATURES[name], values, strict=True))
            if parameter.written and value is not None
        ]


def refusal(simulator, name, *values):
    with pytest.raises(AclError) as error:
        simulator.prepare(name, *values)
    return error.value.message


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.float32])
@pytest.mark.parametrize("accumulate", [False, True])
def test_writing_through_an_index_that_selects_nothing_writes_nothing(simulator, dtype, accumulate):
    x, nothing = simulator.put(X), simulator.put(torch.empty(0, dtype=dtype))
    for value in (torch.tensor(7.0), torch.ones(5), torch.ones(0, 4)):
        simulator.run("IndexPutImpl", x, [nothing], simulator.put(value), accumulate, False)
    simulator.run("IndexPutImpl", x, [nothing, None], simulator.put(torch.tensor(7.0)), accumulate, False)
    assert torch.equal(simulator.get(x), X)


def test_writing_under_a_mask_without_a_hit_writes_nothing(simulator):
    x, mask = simulator.put(X), simulator.put(X > 2)
    simulator.run("IndexPutImpl", x, [mask], simulator.put(torch.tensor(7.0)), False, False)
    assert torch.equal(simulator.get(x), X)


def test_a_dimension_beside_an_index_is_not_indexed(simulator):
    x, unindexed = simulator.put(X), simulator.put(torch.empty(0))
    columns = simulator.put(torch.tensor([1, 3]))
    simulator.run("IndexPutImpl", x, [unindexed, columns], simulator.put(torch.tensor(7.0)), False, False)
    wanted = X.clone()
    wanted[:, [1, 3]] = 7
    assert torch.equal(simulator.get(x), wanted)


@pytest.mark.parametrize("name", ["InplaceAdd", "InplaceSub"])
def test_a_result_that_the_operand_cannot_hold_is_refused_at_the_call(simulator, name):
    whole, real = simulator.put(torch.ones(2, dtype=torch.int32)), simulator.put(torch.ones(2))
    assert "result type Float can't be cast to the desired output type Int" in refusal(
        simulator, name, whole, real, 1
    )


def test_a_float_that_only_the_value_decides_is_refused_at_the_call(simulator):
    """The norm's order is a number, and other numbers were taken before."""
    x, out = simulator.put(X), simulator.room(3, 4)
    simulator.run("Renorm", x, 2.0, 0, 0.5, out)
    assert "a norm of order 0" in refusal(simulator, "Renorm", x, 0.0, 0, 0.5, out)


@pytest.mark.parametrize("as_tensor", [True, False])
def test_bfloat16_and_a_complex_number_make_complex64_in_every_torch(simulator, as_tensor):
    """torch 2.14 computes this in a complex type of two bfloat16, which CANN has not."""
    x, out = simulator.put(X.bfloat16()), simulator.room(*X.shape, dtype=torch.complex64)
    name, exponent = "ForeachPowScalarV2", 2 + 1j
    if as_tensor:
        name, exponent = "ForeachPowScalar", simulator.put(torch.tensor(exponent))
    simulator.run(name, [x], exponent, [out])
    wanted = X.bfloat16().float() ** (2 + 1j)
    torch.testing.assert_close(simulator.get(out), wanted, equal_nan=True)


def test_what_was_tried_leaves_the_memory_alone(simulator):
    """Phase one computes on zeros of its own: nothing that a program sees changes before phase two."""
    x, y = simulator.put(X), simulator.put(Y)
    simulator.prepare("InplaceAdd", x, y, 1.0)
    assert torch.equal(simulator.get(x), X)


def test_the_sign_of_a_complex_number_is_its_direction(simulator):
    numbers = torch.tensor([3 + 4j, 0, -2j])
    out = simulator.room(3, dtype=torch.complex64)
    simulator.run("Sign", simulator.put(numbers), out)
    torch.testing.assert_close(simulator.get(out), torch.sgn(numbers))

"""Elementwise operators: those that write their first operand, and what ATen writes elsewhere."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812

from cases.base import BOOL, ROW, SIGNED, Case, I, J, X, Y, Z, case, random

#: Names of aclnnInplace<Name> that are torch.<name> of one tensor.
ONE_OPERAND = """
Acos Asin Asinh Atan Atanh Cos Cosh Sin Sinh Sinc Tan Tanh Erf Erfc Erfinv Exp Exp2 Expm1 Log Log2 Log10 Log1p
Sqrt Rsqrt Reciprocal Ceil Floor Frac Relu Sigmoid
"""
COMPARISONS = {"Eq": torch.eq, "Ne": torch.ne, "Gt": torch.gt, "Ge": torch.ge, "Lt": torch.lt, "Le": torch.le}
BITS = {"And": torch.bitwise_and, "Or": torch.bitwise_or, "Xor": torch.bitwise_xor}

ACTIVATIONS = {
    "InplaceThreshold": case(SIGNED, 0.5, 9.0, gives=F.threshold(SIGNED, 0.5, 9.0)),
    "InplaceLeakyRelu": case(SIGNED, 0.1, gives=F.leaky_relu(SIGNED, 0.1)),
    "InplaceElu": case(SIGNED, 0.5, 1.0, 1.0, gives=F.elu(SIGNED, 0.5)),
    "InplaceCelu": case(SIGNED, 0.5, gives=F.celu(SIGNED, 0.5)),
    "InplaceHardsigmoid": case(SIGNED, gives=F.hardsigmoid(SIGNED)),
    "InplaceHardswish": case(SIGNED, gives=F.hardswish(SIGNED)),
    "InplaceHardtanh": case(SIGNED, -0.5, 0.5, gives=F.hardtanh(SIGNED, -0.5, 0.5)),
    "InplaceMish": case(SIGNED, gives=F.mish(SIGNED)),
}

WITH_A_NUMBER = {
    "InplaceAdds": case(X, 3.0, 2.0, gives=X + 6),
    "InplaceSubs": case(X, 3.0, 2.0, gives=X - 6),
    "InplaceMuls": case(X, 3.0, gives=X * 3),
    "InplaceDivs": case(X, 3.0, gives=X / 3),
    "InplaceDivMods": case(SIGNED, 0.3, 2, gives=torch.div(SIGNED, 0.3, rounding_mode="floor")),
    "DivMods": case(SIGNED, 0.3, 1, gives=torch.div(SIGNED, 0.3, rounding_mode="trunc")),
    "InplaceFloorDivides": case(SIGNED, 0.3, gives=SIGNED // 0.3),
    "FloorDivides": case(SIGNED, 0.3, gives=SIGNED // 0.3),
    "InplaceRemainderTensorScalar": case(SIGNED, 0.3, gives=SIGNED % 0.3),
    "RemainderScalarTensor": case(1.0, X, gives=torch.remainder(1.0, X)),
    "InplaceFmodScalar": case(SIGNED, 0.3, gives=SIGNED.fmod(0.3)),
    "InplacePowTensorScalar": case(X, 2.5, gives=X**2.5),
    "InplaceXLogYScalarOther": case(X, 2.0, gives=torch.xlogy(X, 2.0)),
    "XLogYScalarOther": case(X, 2.0, gives=torch.xlogy(X, 2.0)),
    "XLogYScalarSelf": case(2.0, X, gives=torch.xlogy(2.0, X)),
    "Rsubs": case(X, 3.0, 2.0, gives=3 - 2 * X),
    "AddV3": case(3.0, X, 2.0, gives=3 + 2 * X),
    "LeftShifts": case(I, 2, gives=I << 2),
    "InplaceRoundDecimals": case(X, 1, gives=X.round(decimals=1)),
    "InplaceClampMax": case(X, 0.5, gives=X.clamp(max=0.5)),
    "InplaceNanToNum": case(X.log() * 0 / (X - X[0, 0]), 1.0, 2.0, -3.0,
                            gives=(X.log() * 0 / (X - X[0, 0])).nan_to_num(1.0, 2.0, -3.0)),
    "NanToNum": case(X / (X - X[0, 0]), 1.0, 2.0, -3.0, gives=(X / (X - X[0, 0])).nan_to_num(1.0, 2.0, -3.0)),
}  # fmt: skip

OPERANDS = {
    "InplaceAdd": case(X, ROW, 2.0, gives=X + 2 * ROW),
    "InplaceAddRelu": case(SIGNED, ROW, 2.0, gives=(SIGNED + 2 * ROW).relu()),
    "AddRelu": case(SIGNED, ROW, 2.0, gives=(SIGNED + 2 * ROW).relu()),
    "InplaceSub": case(X, ROW, 2.0, gives=X - 2 * ROW),
    "Rsub": case(X, ROW, 2.0, gives=ROW - 2 * X),
    "InplaceMul": case(X, ROW, gives=X * ROW),
    "InplaceDiv": case(X, ROW, gives=X / ROW),
    "InplaceDivMod": case(X, ROW, 2, gives=torch.div(X, ROW, rounding_mode="floor")),
    "InplaceFloorDivide": case(X, ROW, gives=X // ROW),
    "FloorDivide": case(X, ROW, gives=X // ROW),
    "InplaceRemainderTensorTensor": case(X, ROW, gives=X % ROW),
    "InplaceFmodTensor": case(X, ROW, gives=X.fmod(ROW)),
    "InplacePowTensorTensor": case(X, ROW, gives=X**ROW),
    "InplaceAtan2": case(X, ROW, gives=torch.atan2(X, ROW)),
    "InplaceAddcmul": case(X, Y, ROW, 0.5, gives=X + 0.5 * Y * ROW),
    "InplaceAddcdiv": case(X, Y, ROW, 0.5, gives=X + 0.5 * Y / ROW),
    "InplaceLerp": case(X, Y, Z, gives=torch.lerp(X, Y, Z)),
    "InplaceLerps": case(X, Y, 0.3, gives=torch.lerp(X, Y, 0.3)),
    "LogAddExp2": case(X, ROW, gives=torch.logaddexp2(X, ROW)),
    "XLogYTensor": case(X, ROW, gives=torch.xlogy(X, ROW)),
    "Gcd": case(I, J, gives=torch.gcd(I, J)),
    "LeftShift": case(I, J, gives=I << J),
    "RightShift": case(I * 64, J, gives=(I * 64) >> J),
    "Complex": case(X, Y, gives=torch.complex(X, Y)),
    "Polar": case(X, Y, gives=torch.polar(X, Y)),
    "IsClose": case(X, X + 1e-3, 0.0, 5e-3, False, gives=torch.isclose(X, X + 1e-3, 0.0, 5e-3)),
    "InplaceClampMaxTensor": case(X, Y, gives=torch.minimum(X, Y)),
    "InplaceClampMinTensor": case(X, Y, gives=torch.maximum(X, Y)),
    "InplaceLogicalAnd": case(BOOL, Y > 0.5, gives=BOOL & (Y > 0.5)),
    "InplaceLogicalOr": case(BOOL, Y > 0.5, gives=BOOL | (Y > 0.5)),
    "InplaceLogicalNot": case(BOOL, gives=~BOOL),
}

OTHERS = {
    "InplaceAcosh": case(X + 1, gives=torch.acosh(X + 1)),
    "Sinc": case(X, gives=torch.sinc(X)),
    "AngleV2": case(SIGNED, gives=torch.angle(SIGNED)),
    "Cast": case(X * 10, torch.int32, gives=(X * 10).int()),
    "InplaceOne": case(X, gives=torch.ones(3, 4)),
    "InplaceFillTensor": case(X, torch.tensor([7.0]), gives=torch.full((3, 4), 7.0)),
    "InplaceAddmm": case(random(2, 3), random(2, 4), random(4, 3), 2.0, 0.5, 0,
                         gives=torch.addmm(random(2, 3), random(2, 4), random(4, 3), beta=2, alpha=0.5)),
    "InplaceAddr": case(X, random(3), ROW, 2.0, 0.5, gives=torch.addr(X, random(3), ROW, beta=2, alpha=0.5)),
    "Addr": case(X, random(3), ROW, 2.0, 0.5, gives=torch.addr(X, random(3), ROW, beta=2, alpha=0.5)),
    "InplaceRenorm": case(X, 2.0, 0, 0.5, gives=torch.renorm(X, 2, 0, 0.5)),
    "Renorm": case(X, 2.0, 0, 0.5, gives=torch.renorm(X, 2, 0, 0.5)),
}  # fmt: skip


def _families() -> dict[str, Case]:
    cases = {f"Inplace{name}": case(X, gives=getattr(torch, name.lower())(X)) for name in ONE_OPERAND.split()}
    for name, function in COMPARISONS.items():
        cases[f"Inplace{name}Tensor"] = case(X, ROW, gives=function(X, ROW).float())
        cases[f"Inplace{name}Scalar"] = case(X, 0.5, gives=function(X, 0.5).float())
    for name, function in BITS.items():
        cases[f"InplaceBitwise{name}Tensor"] = case(I, J, gives=function(I, J))
        cases[f"InplaceBitwise{name}Scalar"] = case(I, 5, gives=function(I, 5))
        cases[f"Bitwise{name}Scalar"] = case(I, 5, gives=function(I, 5))
    return cases


CASES = {**_families(), **ACTIVATIONS, **WITH_A_NUMBER, **OPERANDS, **OTHERS}

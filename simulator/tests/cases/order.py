"""Ranges, reductions, scans, sorting, sets, linear algebra, indexing and rearranging."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812

from cases.base import BOOL, SIGNED, I, X, Y, case, gradient, random, whole

INDEX = torch.tensor([2, 0])
EDGES = torch.tensor([0.2, 0.4, 0.6])
SQUARE = random(3, 3) + torch.eye(3)
UPPER = (SQUARE + 1).triu()
REPEATS = torch.tensor([1, 0, 2])
PLACES = whole(2, 4, below=3)
CUBE = random(2, 3, 4)
NANS = X / (X > 0.3)

RANGES = {
    "Range": case(1.0, 7.0, 1.5, gives=torch.arange(1.0, 7.1, 1.5)),
    "LogSpace": case(0.0, 2.0, 5, 10.0, gives=torch.logspace(0, 2, 5)),
}

REDUCTIONS = {
    "Aminmax": case(X, [1], True, gives=tuple(torch.aminmax(X, dim=1, keepdim=True))),
    "AminmaxDim": case(X, 1, False, gives=tuple(torch.aminmax(X, dim=1))),
    "AminmaxAll": case(X, gives=tuple(torch.aminmax(X))),
    "ReduceNansum": case(NANS - NANS, [1], False, torch.float32, gives=torch.nansum(NANS - NANS, 1)),
    "Norm": case(X, 3.0, [1], False, gives=torch.norm(X, 3, 1)),
    "StdMeanCorrection": case(X, [1], 1, False, gives=tuple(torch.std_mean(X, 1))),
    "Median": case(X, gives=torch.median(X)),
    "MedianDim": case(X, 1, False, gives=tuple(torch.median(X, 1))),
    "NanMedian": case(NANS, gives=torch.nanmedian(NANS)),
    "NanMedianDim": case(NANS, 1, False, gives=tuple(torch.nanmedian(NANS, 1))),
    "Kthvalue": case(X, 2, 1, False, gives=tuple(torch.kthvalue(X, 2, 1))),
    "Cummax": case(X, 1, gives=tuple(torch.cummax(X, 1))),
    "Cummin": case(X, 1, gives=tuple(torch.cummin(X, 1))),
    "Cumprod": case(X, 1, torch.float32, gives=torch.cumprod(X, 1)),
    "Histc": case(X, 4, 0.0, 1.0, gives=torch.histc(X, 4, 0, 1)),
    "Bincount": case(I.flatten(), None, 9, gives=torch.bincount(I.flatten(), minlength=9)),
    "Trace": case(SQUARE, gives=torch.trace(SQUARE)),
}

SETS = {
    "Bucketize": case(X, EDGES, False, True, gives=torch.bucketize(X, EDGES, right=True)),
    "SearchSorted": case(EDGES, X, True, False, None, gives=torch.searchsorted(EDGES, X, out_int32=True)),
    "SearchSorteds": case(EDGES, 0.5, False, False, None, gives=torch.searchsorted(EDGES, 0.5)),
    "IsInTensorScalar": case(I, 3, False, True, gives=torch.isin(I, 3, invert=True)),
    "IsInScalarTensor": case(3, I, False, False, gives=torch.isin(3, I)),
    "Unique": case(I, True, True, gives=torch.unique(I, return_inverse=True)),
    "Unique2": case(I, True, True, True, gives=torch.unique(I, return_inverse=True, return_counts=True)),
    "UniqueConsecutive": case(
        I.sort().values, True, True, 1000,
        gives=torch.unique_consecutive(I.sort().values, return_inverse=True, return_counts=True),
    ),
    "UniqueDim": case(
        I[[0, 1, 0]], True, True, 0,
        gives=torch.unique(I[[0, 1, 0]], dim=0, return_inverse=True, return_counts=True),
    ),
    "NonzeroV2": case(BOOL, gives=BOOL.nonzero().t().contiguous()),
}  # fmt: skip

# An input whose decomposition no choice of signs can change: the signs are torch's own on both sides.
SVD_OF = random(5, 3)
SVD = torch.linalg.svd(SVD_OF, full_matrices=False)

LINEAR_ALGEBRA = {
    "Matmul": case(CUBE, random(4, 5), 0, gives=CUBE @ random(4, 5)),
    "Mv": case(X, random(4), 0, gives=X @ random(4)),
    "Addbmm": case(
        random(3, 5), CUBE, random(2, 4, 5), 2.0, 0.5, 0,
        gives=torch.addbmm(random(3, 5), CUBE, random(2, 4, 5), beta=2, alpha=0.5),
    ),
    "LinalgCross": case(SQUARE, UPPER, 1, gives=torch.linalg.cross(SQUARE, UPPER, dim=1)),
    "LinalgCholesky": case(SQUARE @ SQUARE.t(), False, gives=torch.linalg.cholesky(SQUARE @ SQUARE.t())),
    "LinalgQr": case(X.t(), 0, gives=tuple(torch.linalg.qr(X.t()))),
    "Svd": case(SVD_OF, False, True, gives=(SVD[1], SVD[0], SVD[2].mH.contiguous())),
    "Inverse": case(SQUARE, gives=torch.inverse(SQUARE)),
    "Slogdet": case(SQUARE, gives=tuple(torch.slogdet(SQUARE))),
    "TriangularSolve": case(
        X, UPPER, True, False, False, gives=(torch.linalg.solve_triangular(UPPER, X, upper=True), UPPER)
    ),
    "Cdist": case(X, Y[:2], 2.0, 0, gives=torch.cdist(X, Y[:2])),
    "CdistBackward": case(
        random(3, 3), X, Y, torch.cdist(X, Y), 2.0, gives=gradient(torch.cdist, X, Y, grad=random(3, 3))[0]
    ),
    "Pdist": case(X, 2.0, gives=torch.pdist(X)),
}  # fmt: skip


def _filled(index: torch.Tensor) -> torch.Tensor:
    return X.index_fill(0, index, 7.0)


def _cache() -> torch.Tensor:
    """Two batches of (3, 4), in which row 2 of the first and row 0 of the second are new."""
    data = CUBE.clone()
    data[0, 2], data[1, 0] = X[0], X[1]
    return data


INDEXING = {
    "Stack": case([X, Y], 1, gives=torch.stack([X, Y], 1)),
    "SplitWithSize": case(X, [1, 3], 1, gives=(list(X.split([1, 3], 1)),)),
    "ChunkCat": case([X, Y], 0, 2, gives=torch._chunk_cat([X, Y], 0, 2)),
    "GatherV3": case(X, 1, I[:2] % 4, 0, 0, gives=X[:, I[:2] % 4]),
    "Take": case(X, I, gives=torch.take(X, I)),
    "IndexAddV2": case(X, 0, INDEX, Y[:2], 2.0, 0, gives=X.index_add(0, INDEX, Y[:2], alpha=2)),
    "IndexCopy": case(X, 0, INDEX, Y[:2], gives=X.index_copy(0, INDEX, Y[:2])),
    "InplaceIndexCopy": case(X, 0, INDEX, Y[:2], gives=X.index_copy(0, INDEX, Y[:2])),
    "IndexFill": case(X, 0, INDEX, 7.0, gives=_filled(INDEX)),
    "IndexFillTensor": case(X, 0, [2, 0], 7.0, gives=_filled(INDEX)),
    "InplaceIndexFill": case(X, 0, INDEX, 7.0, gives=_filled(INDEX)),
    "InplaceIndexFillTensor": case(X, 0, [2, 0], 7.0, gives=_filled(INDEX)),
    "InplacePut": case(X, INDEX, Y[0, :2], True, gives=X.clone().put_(INDEX, Y[0, :2], accumulate=True)),
    "InplaceMaskedScatter": case(X, BOOL, Y, gives=X.masked_scatter(BOOL, Y)),
    "InplaceScatter": case(X, 0, PLACES, Y[:2], 0, gives=X.scatter(0, PLACES, Y[:2])),
    "InplaceScatterValue": case(X, 0, PLACES, 3.0, 0, gives=X.scatter(0, PLACES, 3.0)),
    "ScatterReduce": case(X, 0, PLACES, Y[:2], 3, True, gives=X.scatter_reduce(0, PLACES, Y[:2], "amax")),
    "InplaceScatterReduce": case(
        X, 0, PLACES, Y[:2], 1, False, gives=X.scatter_reduce(0, PLACES, Y[:2], "sum", include_self=False)
    ),
    "ScatterNdUpdate": case(X, INDEX[:, None], Y[:2], gives=X.index_copy(0, INDEX, Y[:2])),
    "InplaceScatterUpdate": case(CUBE, INDEX, X[:2, None], 1, gives=_cache()),
    "InplaceFillDiagonal": case(X, 7.0, False, gives=X.clone().fill_diagonal_(7.0)),
    "InplaceTril": case(X, -1, gives=X.tril(-1)),
    "InplaceTriu": case(X, 1, gives=X.triu(1)),
    "EmbeddingRenorm": case(X, INDEX, 0.5, 2.0, gives=torch.embedding_renorm_(X.clone(), INDEX, 0.5, 2.0)),
}  # fmt: skip

REARRANGING = {
    "RepeatInterleave": case(X[0, :3], REPEATS, 3, gives=X[0, :3].repeat_interleave(REPEATS)),
    "RepeatInterleaveWithDim": case(X, REPEATS, 0, 3, gives=X.repeat_interleave(REPEATS, 0)),
    "RepeatInterleaveInt": case(X, 2, 24, gives=X.repeat_interleave(2)),
    "RepeatInterleaveIntWithDim": case(X, 2, 1, 8, gives=X.repeat_interleave(2, 1)),
    "RepeatInterleaveTensor": case(REPEATS, 3, gives=torch.repeat_interleave(REPEATS)),
    "RepeatInterleaveGrad": case(
        Y, REPEATS, 0, gives=gradient(lambda x: x.repeat_interleave(REPEATS, 0), X, grad=Y)[0]
    ),
    "ConstantPadNd": case(X, [1, 2, 0, 1], 7.0, gives=F.pad(X, (1, 2, 0, 1), value=7.0)),
    "OneHot": case(I, 8, torch.tensor([1]), torch.tensor([0]), -1, gives=F.one_hot(I, 8)),
    "EmbeddingBag": case(
        X, torch.tensor([2, 0, 1]), torch.tensor([0, 2]), False, 0, False, None, False, -1,
        gives=(torch.stack([X[2] + X[0], X[1]]), *map(torch.tensor, ([0, 0, 1], [2, 1], [0, 0]))),
    ),
    "ChannelShuffle": case(random(1, 4, 2, 2), 2, gives=F.channel_shuffle(random(1, 4, 2, 2), 2)),
    "ConfusionTranspose": case(CUBE, [1, 0, 2], [3, 8], True, gives=CUBE.permute(1, 0, 2).reshape(3, 8)),
    "UnfoldGrad": case(
        random(3, 2, 2), [3, 4], 1, 2, 2,
        gives=gradient(lambda x: x.unfold(1, 2, 2), X, grad=random(3, 2, 2)),
    ),
    "AffineGrid": case(
        CUBE[:, :2, :3], [2, 1, 3, 4], False, gives=F.affine_grid(CUBE[:, :2, :3], [2, 1, 3, 4], False)
    ),
    "NpuFormatCast": case(SIGNED, gives=SIGNED),
}  # fmt: skip

CASES = {**RANGES, **REDUCTIONS, **SETS, **LINEAR_ALGEBRA, **INDEXING, **REARRANGING}

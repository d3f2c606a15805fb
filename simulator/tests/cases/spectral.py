"""Fourier transforms, against the sums that define them."""

from __future__ import annotations

import cmath
from collections.abc import Sequence

import torch

from cases.base import Case, case, random

INVALID = 161002
SOUND = random(2, 20, low=-1, high=1)
WINDOW = random(4)
# 4 of 7 points: as many zeros before them as behind, or one fewer.
FRAME = (0.0, *WINDOW.tolist(), 0.0, 0.0)


def _spectra(x: torch.Tensor, frame: Sequence[float], hop: int, scale: float = 1.0) -> torch.Tensor:
    """The lower half of the spectrum of every window of x [batch, length]: [batch, frequency, window]."""
    points = len(frame)

    def component(sound: list[float], k: int) -> complex:
        turns = (cmath.exp(-2j * cmath.pi * k * n / points) for n in range(points))
        return scale * sum(w * turn * value for w, turn, value in zip(frame, turns, sound, strict=True))

    starts = range(0, x.shape[1] - points + 1, hop)
    spectra = [
        [[component(sound[at : at + points], k) for at in starts] for k in range(points // 2 + 1)]
        for sound in x.double().tolist()
    ]
    return torch.tensor(spectra, dtype=torch.complex64)


FORMS: tuple[dict[str, tuple[str, Case]], ...] = (
    {
        "short window, scaled": (
            "Stft",
            case(SOUND, WINDOW, 7, 3, 4, True, True, True, gives=_spectra(SOUND, FRAME, 3, 7**-0.5)),
        ),
        "one sound, no window, as real numbers": (
            "Stft",
            case(SOUND[0], None, 6, 2, 6, False, True, False,
                 gives=torch.view_as_real(_spectra(SOUND[:1], [1.0] * 6, 2)[0])),
        ),
        "whole rows, by 1/n": (
            "Rfft1D",
            case(SOUND, 20, -1, 2, gives=torch.view_as_real(_spectra(SOUND, [1.0] * 20, 1, 1 / 20)[..., 0])),
        ),
        "cut, as it is": (
            "Rfft1D",
            case(SOUND, 6, 1, 1, gives=torch.view_as_real(_spectra(SOUND[:, :6], [1.0] * 6, 1)[..., 0])),
        ),
    },
)  # fmt: skip

_OUT = (torch.empty(2, 4, 5, dtype=torch.complex64),)
REFUSED = (
    (
        "Stft",
        (SOUND, WINDOW, 21, 3, 21, False, True, True),
        _OUT,
        INVALID,
        "n_fft is 21; it must be from 1 to 20",
    ),
    ("Stft", (SOUND, WINDOW, 7, 0, 4, False, True, True), _OUT, INVALID, "hop_length is 0"),
    ("Stft", (SOUND, WINDOW, 7, 3, 8, False, True, True), _OUT, INVALID, "win_length is 8; .* n_fft, 7"),
    ("Stft", (SOUND, WINDOW, 7, 3, 5, False, True, True), _OUT, INVALID, "'window' has 4 elements"),
    ("Stft", (SOUND, WINDOW.double(), 7, 3, 4, False, True, True), _OUT, INVALID, "they must be the same"),
    ("Stft", (SOUND + 0j, WINDOW + 0j, 7, 3, 4, False, True, True), _OUT, INVALID, "'self' is complex"),
    ("Rfft1D", (SOUND, 4097, -1, 1), (torch.empty(2, 2049, 2),), INVALID, "n is 4097"),
    ("Rfft1D", (SOUND, 20, -1, 4), (torch.empty(2, 11, 2),), INVALID, "norm is 4"),
    ("Rfft1D", (SOUND.double(), 20, -1, 1), (torch.empty(2, 11, 2),), INVALID, "it must be float32"),
)

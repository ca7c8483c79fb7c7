"""Features in fewer bits, as an index of a size that matters would hold them: 8 bits or 1 bit for each dimension.

Whatever is fitted is fitted on the gallery alone. Rows are L2-normalised before.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tasks.scoring.features import Floats


@dataclass(frozen=True)
class Int8:
    """Symmetric 8 bits: code = round(value / scale), −127 … 127, what lies beyond is clipped.

    Attributes:
        scales: float32 [d], the largest magnitude of each dimension in the gallery / 127; 1 where it is zero.
    """

    scales: Floats

    @classmethod
    def of(cls, gallery: Floats) -> Int8:
        """Scales of a gallery [m, d]."""
        largest = np.abs(gallery).max(axis=0)
        return cls(np.where(largest > 0, largest / np.float32(127), np.float32(1)).astype(np.float32))

    def codes(self, features: Floats) -> npt.NDArray[np.int8]:
        """int8 [n, d] of rows [n, d]."""
        return np.asarray(np.clip(np.rint(features / self.scales), -127, 127), np.int8)

    def ranges(self) -> Floats:
        """What faiss's 8-bit scalar quantiser must know to make these codes: float32 [2, d], least value and width.

        It decodes a byte c to least + (c + ½) / 255 · width; c = code + 128.
        """
        return np.stack([np.float32(-128.5) * self.scales, np.float32(255) * self.scales])

    def decoded(self, features: Floats) -> Floats:
        """The rows as decoded, float32 [n, d]; their inner products are the similarities."""
        return self.codes(features) * self.scales


@dataclass(frozen=True)
class Binary:
    """1 bit: whether a value lies above the gallery's mean of its dimension.

    Attributes:
        means: float32 [d].
    """

    means: Floats

    @classmethod
    def of(cls, gallery: Floats) -> Binary:
        """Means of a gallery [m, d]."""
        return cls(gallery.mean(axis=0, dtype=np.float64).astype(np.float32))

    def codes(self, features: Floats) -> npt.NDArray[np.uint8]:
        """uint8 [n, ⌈d / 8⌉] of rows [n, d], padded with zero bits; similar rows have a small Hamming distance."""
        return np.packbits(features > self.means, axis=1)

    def decoded(self, features: Floats) -> Floats:
        """The rows as +s and −s, float32 [n, d]; s is a power of 2 with which no row is longer than 1.

        Their inner products fall as the Hamming distances rise: s² (d − 2 distance).
        """
        s = np.float32(2.0 ** -math.ceil(math.log2(features.shape[1]) / 2))
        return np.asarray(np.where(features > self.means, s, -s), np.float32)

"""Which images are the same picture: exact copies, and near ones (re-encoded, rescaled, photographed twice).

A 256-bit difference hash proposes, a thumbnail confirms: globally similar pictures (solar cells of one kind, products
on white) share hashes by chance, copies also share their grey values.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

BITS = 256
DISTANCE = 15
BANDS = 16
CORRELATION = 0.985
"""Least correlation of two 16 x 16 grey thumbnails.

elpv sets the limits: it holds one module of 50 cells twice (cells 1735 to 1784 are cells 2277 to 2326, photographed
again). Of these 50 pairs, 48 are found; at 7 bits they would be 15. The largest group has 6 cells.
"""

_ORDER = (np.arange(BITS) * 67 % BITS).reshape(BANDS, -1)
"""Which bits form a band: spread over the picture, or all pictures with a white border would share a band."""
_BLOCK = 1024


def groups(
    sha256: Sequence[str], hashes: npt.NDArray[np.bool_], thumbnails: npt.NDArray[np.uint8]
) -> npt.NDArray[np.int64]:
    """A group number for each image, int64 [n]: equal numbers are the same picture, through any chain of copies.

    Args:
        sha256: of the n files.
        hashes: bool [n, 256], see ``index.difference_hash``.
        thumbnails: uint8 [n, 256], grey.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = len(sha256)
    first: dict[str, int] = {}
    original = np.array([first.setdefault(digest, i) for i, digest in enumerate(sha256)], np.int64)
    originals = np.flatnonzero(original == np.arange(n))
    near = originals[near_pairs(hashes[originals], thumbnails[originals])]
    rows, columns = np.concatenate([original, near[:, 0]]), np.concatenate([np.arange(n), near[:, 1]])
    graph = coo_array((np.ones(len(rows), np.bool_), (rows, columns)), shape=(n, n))
    return np.asarray(connected_components(graph, directed=False)[1], np.int64)


def near_pairs(hashes: npt.NDArray[np.bool_], thumbnails: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Pairs (i, j) of images whose hashes differ in at most 15 bits and whose thumbnails agree, int64 [m, 2].

    Two hashes that differ in at most 15 of 256 bits agree in at least one of 16 bands of 16 bits (pigeonhole), so only
    images that share a band are compared. A pair may be given more than once.
    """
    packed = np.packbits(hashes, axis=1)
    centred = thumbnails.astype(np.float32)
    centred -= centred.mean(axis=1, keepdims=True)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    centred /= np.where(length > 0, length, 1)  # a flat picture correlates with nothing: only its exact copies count
    found = [np.empty((0, 2), np.int64)]
    for band in _ORDER:
        words = np.ascontiguousarray(np.packbits(hashes[:, band], axis=1)).view(np.uint16).ravel()
        order = np.argsort(words, kind="stable")
        for bucket in np.split(order, np.flatnonzero(np.diff(words[order])) + 1):
            for start in range(0, len(bucket) - 1, _BLOCK):
                rows = bucket[start : start + _BLOCK]
                for other in range(start, len(bucket), _BLOCK):
                    columns = bucket[other : other + _BLOCK]
                    a, b = np.nonzero(centred[rows] @ centred[columns].T >= CORRELATION)
                    i, j = rows[a], columns[b]
                    close = np.unpackbits(packed[i] ^ packed[j], axis=1).sum(axis=1) <= DISTANCE
                    found.append(np.stack([i, j], axis=1)[close & (i != j)])
    return np.concatenate(found)

"""Retrieval: given a test image, are the training images of its class the nearest ones?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from export.errors import UserError
from export.spec import Metric
from tasks.base import Batchwise, Fitted, Labels, Score, Task, TaskMeta
from tasks.scoring.codes import Binary, Int8
from tasks.scoring.features import Floats, Indices, l2_normalized, on_grid
from tasks.scoring.metrics import Doubles, mean_metric
from tasks.scoring.requirements import require_finite, require_gallery, require_queries

CUTOFFS = (1, 5, 10)
Kinds = npt.NDArray[np.int8]
BLOCK = 1 << 23
"""Similarities held at once (they become 64 MiB of sort keys)."""


PROTOCOL = (
    "Queries = test, gallery = train, ranked by cosine similarity; an image of the query's class is "
    "relevant. mAP over the whole ranking, R@k (a relevant image among the first k), MRR. Among equal "
    "similarities the irrelevant images count as ranked first. Similarities are exact inner products of unit "
    "rows rounded to 2⁻²⁵, so that the ranking is the same on every processor. Junk pairs are taken out of a "
    "query's ranking before any metric (Radenović et al. 2018), or count as wrong in mAP_junk_wrong. mAP_int8: "
    "both sides in symmetric 8 bits a dimension, scales from the gallery; mAP_binary: both sides one bit a "
    "dimension, above the gallery's mean or not, by Hamming distance."
)
SETTINGS: Mapping[str, Any] = {"queries": "test", "gallery": "train", "similarity": "cosine", "cutoffs": list(CUTOFFS)}
"""Every constant of it."""


class Retrieval(Task):
    """Retrieval of a class, or of one instance, by cosine similarity."""

    meta = TaskMeta("retrieval", 2, "mAP", PROTOCOL, SETTINGS)

    def fit(self, train: Batchwise, val: Batchwise, seed: int) -> Fitted:
        require_gallery(train.labelled)
        require_finite(self.meta.outputs, train=train, val=val)
        gallery = l2_normalized(train.features)
        codes = {"int8_scales": Int8.of(gallery).scales, "binary_means": Binary.of(gallery).means}
        return Fitted(train, seed, codes)

    def judge(self, fitted: Fitted, test: Batchwise) -> Score:
        train, junk = fitted.train, test.labelled.junk
        require_queries(train.labelled, test.labelled)
        asked = _answerable(train.labelled, test.labelled)
        if not asked.any():
            raise UserError(
                "No query has a match in the gallery.",
                "Every gallery image of the queries' classes is junk for them (junk.csv).",
                "remove pairs from junk.csv",
            )
        require_finite(self.meta.outputs, test=test)
        gallery, queries = l2_normalized(train.features), l2_normalized(test.features)
        note = "" if asked.all() else f"without {(~asked).sum()} queries for which all that is right is junk"

        def look(left: Floats, right: Floats) -> Ranks:
            return Ranks(*(part[asked] for part in ranked(left, train.labels, right, test.labels, junk)))

        def mean(name: str, values: Doubles, said: str = "") -> Metric:
            return replace(mean_metric(name, 100 * values), note="; ".join(filter(None, (said, note))))

        found, width = look(gallery, queries), gallery.shape[1]
        metrics = [mean("mAP", found.precision)]
        metrics += [mean(f"R@{k}", (found.first <= k).astype(np.float64)) for k in CUTOFFS]
        metrics.append(mean("MRR", 1 / found.first))
        if len(junk):
            metrics.append(mean("mAP_junk_wrong", found.junk_wrong, "junk pairs count as wrong"))
        int8, binary = Int8(fitted.arrays["int8_scales"]), Binary(fitted.arrays["binary_means"])
        for name, code, size in (("mAP_int8", int8, width), ("mAP_binary", binary, -(-width // 8))):
            coded = look(code.decoded(gallery), code.decoded(queries))
            metrics.append(mean(name, coded.precision, f"{size} bytes a vector instead of {4 * width}"))
        return Score(metrics, 100 * found.precision)


class Ranks(NamedTuple):
    """What the rankings come to; all float64 [n], NaN for a query to which nothing is relevant.

    Attributes:
        precision: average precision, 1/R Σ over the R relevant images of (relevant ones up to its rank) / (its rank).
        first: the rank, from 1, of the first relevant image.
        junk_wrong: the average precision if junk is left where it is, and is not relevant.
    """

    precision: Doubles
    first: Doubles
    junk_wrong: Doubles


def ranked(
    gallery: Floats, gallery_labels: Indices, queries: Floats, query_labels: Indices, junk: Indices | None = None
) -> Ranks:
    """Rank the gallery for each query.

    Args:
        gallery, queries: rows of length at most 1 (or hardly more), float32 [m, d] and [n, d].
        gallery_labels, query_labels: int64 [m] and [n]; equal ones are relevant to each other.
        junk: int64 [p, 2], (query row, gallery row): neither right nor wrong; without them ranks are counted.
    """
    n = len(queries)
    precision, first, wrong = (np.full(n, np.nan) for _ in range(3))
    against, rows = on_grid(gallery).T, max(1, BLOCK // len(gallery))
    pairs = np.empty((0, 2), np.int64) if junk is None else junk[np.argsort(junk[:, 0], kind="stable")]
    for start in range(0, n, rows):
        stop = min(start + rows, n)
        kinds = (query_labels[start:stop, None] == gallery_labels).astype(np.int8) + WRONG
        low, high = np.searchsorted(pairs[:, 0], (start, stop))
        kinds[pairs[low:high, 0] - start, pairs[low:high, 1]] = JUNK
        kinds = _by_rank(on_grid(queries[start:stop]) @ against, kinds)
        query, place = np.nonzero(kinds == RIGHT)
        relevant = np.bincount(query, minlength=stop - start)
        some = np.flatnonzero(relevant)
        before = np.cumsum(relevant) - relevant
        hits = np.arange(1, len(query) + 1) - np.repeat(before, relevant)
        place += 1
        found = np.bincount(query, hits / place, stop - start)[some] / relevant[some]
        precision[start + some] = wrong[start + some] = found
        if high > low:
            place -= np.cumsum(kinds == JUNK, axis=1)[query, place - 1]
            precision[start + some] = np.bincount(query, hits / place, stop - start)[some] / relevant[some]
        first[start + some] = place[before[some]]
    return Ranks(precision, first, wrong)


JUNK, WRONG, RIGHT = np.int8(0), np.int8(1), np.int8(2)
"""In the order in which they are ranked among equal similarities."""


def _by_rank(similarity: Doubles, kinds: Kinds) -> Kinds:
    """Each row's kinds, most similar first.

    Similarity (a multiple of 2⁻⁵⁰) and kind become one integer that sorts as wanted: a sort of numbers is several
    times faster than a sort of indices, and exact ties fall against the backbone instead of by the order of the files.
    """
    similarity *= -(2.0**50)
    keys = similarity.astype(np.int64)
    keys <<= 2
    keys |= kinds
    keys.sort(axis=1)
    return np.asarray(keys.astype(np.int8) & np.int8(3))


def _answerable(train: Labels, test: Labels) -> npt.NDArray[np.bool_]:
    """Whether a query has something right in the gallery that is not junk for it; bool [n]."""
    held = np.bincount(train.values, minlength=len(train.classes))[test.values]
    query, image = test.junk.T
    own = test.values[query] == train.values[image]
    return np.asarray(held > np.bincount(query[own], minlength=len(test)))

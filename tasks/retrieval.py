"""Retrieval: given a test image, are the training images of its class the nearest ones?"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tasks.base import Score, Splits, Task, TaskMeta
from tasks.features import Floats, l2_normalized, require_finite, require_searchable
from tasks.metrics import mean_metric

CUTOFFS = (1, 5, 10)
BLOCK = 1 << 23
"""Similarities held at once (they become 64 MiB of sort keys)."""


class Retrieval(Task):
    """Class-level retrieval by cosine similarity."""

    meta = TaskMeta(
        name="retrieval",
        version=1,
        main_metric="mAP",
        unit="%",
        higher_is_better=True,
        protocol="Queries = test, gallery = train, ranked by cosine similarity; an image of the query's class is "
        "relevant. mAP over the whole ranking, R@k (a relevant image among the first k), MRR. Among equal "
        "similarities the irrelevant images count as ranked first.",
        settings={"queries": "test", "gallery": "train", "similarity": "cosine", "cutoffs": list(CUTOFFS)},
    )

    def check(self, splits: Splits) -> None:
        require_searchable(splits)

    def score(self, splits: Splits, seed: int) -> Score:
        require_finite(splits)
        gallery, queries = l2_normalized(splits.train.features), l2_normalized(splits.test.features)
        precision, first = ranked(gallery, splits.train.labels, queries, splits.test.labels)
        metrics = [mean_metric("mAP", 100 * precision)]
        metrics += [mean_metric(f"R@{k}", np.where(first <= k, 100.0, 0.0)) for k in CUTOFFS]
        metrics.append(mean_metric("MRR", 100 / first))
        return Score(metrics, 100 * precision)


def ranked(
    gallery: Floats, gallery_labels: npt.NDArray[np.int64], queries: Floats, query_labels: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Average precision of each query, and the rank (from 1) of its first relevant image; both float64 [n].

    AP = 1/R Σ over the R relevant images of (relevant images up to its rank) / (its rank). Every query's class must
    occur in the gallery.
    """
    precision, first = np.empty(len(queries)), np.empty(len(queries))
    rows = max(1, BLOCK // len(gallery))
    ranks = np.arange(1, len(gallery) + 1)
    for start in range(0, len(queries), rows):
        relevant = query_labels[start : start + rows, None] == gallery_labels
        ranked = _relevance_by_rank(queries[start : start + rows] @ gallery.T, relevant)
        hits = np.cumsum(ranked, axis=1)
        stop = start + len(ranked)
        precision[start:stop] = (hits / ranks * ranked).sum(axis=1) / hits[:, -1]
        first[start:stop] = ranked.argmax(axis=1) + 1
    return precision, first


def _relevance_by_rank(similarity: Floats, relevant: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Each row's relevance, most similar first.

    Similarity and relevance become one integer that sorts as wanted: a sort of numbers is several times faster than a
    sort of indices, and exact ties fall against the backbone instead of by the order of the files.
    """
    bits = (similarity + np.float32(0)).view(np.int32)  # + 0 turns −0.0 into 0.0, which it equals
    ascending = bits ^ ((bits >> 31) & 0x7FFFFFFF)
    keys = (~ascending).astype(np.int64) << 1 | relevant
    keys.sort(axis=1)
    ranked: npt.NDArray[np.bool_] = (keys & 1).astype(np.bool_)
    return ranked

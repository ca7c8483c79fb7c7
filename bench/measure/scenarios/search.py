"""What a search costs beside the backbone: one feature, looked up in an exact index of the size that a user holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.measure.clock import Series, measure
from bench.measure.criterion import Stopped
from bench.measure.scenarios.base import Runs, Scenario, Settings, Setup, latency_metrics, pooled
from export.errors import not_installed
from export.spec import Metric
from tasks.scoring.codes import Binary, Int8
from tasks.scoring.features import l2_normalized

NEIGHBOURS = 10
BLOCK = 1 << 14
NOISE = 0.1
"""Of a copy, as a part of the features' own spread: enough that no two rows of the index are equal."""

Floats = npt.NDArray[np.float32]
Look = Callable[[Floats], tuple[npt.NDArray[np.generic], npt.NDArray[np.int64]]]


class Search(Scenario):
    """Exact search in float32, int8 and binary features."""

    name = "search"
    protocol = (
        "One query on one thread: L2-normalise the feature, code it, and find its 10 nearest in an exact index of "
        "faiss: float32 (IndexFlatIP), int8 (IndexScalarQuantizer, 8 bits a dimension) and binary (IndexBinaryFlat). "
        "The queries are features that this session emits for the images in rotation; the index holds these and "
        "seeded noisy copies of them, because an exact search does the same work whatever the values are. MiB are of "
        "the vectors' codes."
    )
    alone = False
    of_features = True
    on_board = False

    def require(self) -> None:
        try:
            import faiss  # noqa: F401
        except ImportError as error:
            raise not_installed("faiss", error) from error

    def asks(self, settings: Settings) -> dict[str, Any]:
        return {"index_size": settings.index_size, "neighbours": NEIGHBOURS}

    def run(self, setup: Setup) -> dict[str, Series]:
        import faiss

        session, settings, clock = setup.session, setup.settings, setup.clock
        rows, took = [], []
        name = session.plan.artifact.outputs[0].name
        begin = end = clock()
        for image in setup.queries.batches(1):
            start = clock()
            rows.append(session.run(image)[name])
            end = clock()
            took.append(end - start)
        features = np.concatenate(rows)
        once = Stopped(False, f"{len(rows)} images, once each", None)
        found = {"features": Series(took[0], took[1:], [], True, begin, end, once)}
        threads = faiss.omp_get_max_threads()
        faiss.omp_set_num_threads(1)
        try:
            for kind, look in indexes(features, settings.index_size).items():

                def query(i: int, look: Look = look) -> object:
                    at = i % len(features)
                    return look(features[at : at + 1])

                found[kind] = measure(query, settings.warm_up, settings.stop(), clock)
        finally:
            faiss.omp_set_num_threads(threads)
        return found

    def metrics(self, runs: Runs, settings: Settings) -> list[Metric]:
        found: list[Metric] = []
        for kind in SIZES:
            for m in latency_metrics(pooled(runs, kind)):
                if m.name == "noise_percent" and kind != "search":
                    continue  # a record has one: that of its main figure
                name = m.name.replace("latency", kind)
                found.append(Metric(name, m.value, m.unit, m.higher_is_better, m.n, m.stderr, m.note))
        return found

    def sizes(self, width: int, settings: Settings) -> list[Metric]:
        return [
            Metric.cost(
                f"{kind.replace('search', 'index')}_mib",
                settings.index_size * size(width) / 2**20,
                "MiB",
                note=f"{settings.index_size:,} vectors of {size(width):,} bytes",
            )
            for kind, size in SIZES.items()
        ]


SIZES: dict[str, Callable[[int], int]] = {
    "search": lambda width: 4 * width,
    "search_int8": lambda width: width,
    "search_binary": lambda width: -(-width // 8),
}
"""Series → bytes of a vector of that width."""


def indexes(features: Floats, size: int) -> dict[str, Look]:
    """Exact indexes of ``size`` vectors made from ``features`` [n, d], and for each how a feature [1, d] is looked up.

    A look-up gives (scores, rows) of the nearest, [1, 10] each.
    """
    import faiss

    width = features.shape[1]
    first = _copies(features, 0, min(size, BLOCK))
    int8, binary = Int8.of(first), Binary.of(first)
    whole = faiss.IndexFlatIP(width)
    eight = faiss.IndexScalarQuantizer(width, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT)
    faiss.copy_array_to_vector(int8.ranges().ravel(), eight.sq.trained)
    eight.is_trained = True
    bits = faiss.IndexBinaryFlat(8 * -(-width // 8))
    for start in range(0, size, BLOCK):
        part = _copies(features, start, min(start + BLOCK, size))
        whole.add(part)
        eight.add(part)
        bits.add(binary.codes(part))
    return {
        "search": lambda row: whole.search(l2_normalized(row), NEIGHBOURS),
        "search_int8": lambda row: eight.search(int8.decoded(l2_normalized(row)), NEIGHBOURS),
        "search_binary": lambda row: bits.search(binary.codes(l2_normalized(row)), NEIGHBOURS),
    }


def _copies(features: Floats, start: int, stop: int) -> Floats:
    """Rows start … stop of the index, L2-normalised: the features themselves, then noisy copies of them, in turn."""
    n = len(features)
    rows = features[np.arange(start, stop) % n]
    spread = NOISE * (features.std() or 1)
    noise = np.random.default_rng(start).random(rows.shape, np.float32) - np.float32(0.5)
    noise[: max(0, n - start)] = 0
    return l2_normalized(rows + np.float32(spread) * noise)

"""Features of a whole data set from one compiled plan: decode, preprocess and inference overlap, memory stays bounded.

Images go in shards of 8,192 through the store, so that an extraction that was killed goes on at the shard it was in.
Within a shard, each core takes a batch through decode, resize and engine while the other cores do the same with
theirs. Nobody waits for the slowest image of a common batch, so the cores stay busy; a session that can serve only
one caller at a time (a GPU's) lets them queue, and then they decode ahead of it. The last batch is padded, and the
padding's features are thrown away, so that every batch has the size that was tuned.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engines.base import Session
from engines.preprocess.base import Preprocess
from engines.processor import cores
from export.errors import CellError, UserError
from export.store import Entry, Store, key
from tasks.data.base import DataSet, Sample

SHARD = 8192
Progress = Callable[[int], None]


def feature_key(plan_key: str, preprocess: dict[str, Any], data: DataSet, output: str) -> str:
    """The key of a data set's features: plan + preprocessing + data + output (pitfall 27)."""
    return key("features", plan=plan_key, preprocess=preprocess, data=data.digest, output=output)


def extract(
    open_session: Callable[[], Session],
    whole: str,
    preprocess: Preprocess,
    data: DataSet,
    output: str,
    store: Store,
    progress: Progress = lambda done: None,
) -> tuple[npt.NDArray[np.float32], dict[str, Any]]:
    """Features of every sample of ``data``, in its order.

    Args:
        open_session: opens the plan's session; called only when some shard is not in the store.
        whole: the :func:`feature_key` of it all.
        progress: called with the number of images finished since the last call.

    Returns:
        float32 [n, d], and how it went: ``images``, ``seconds``, ``images_per_s`` (of the shards as they were built).

    Raises:
        CellError: the features hold NaN or Inf, or an image that was readable when it was indexed no longer is.
    """
    entries: list[Entry] = []
    session: Session | None = None
    try:
        for start in range(0, len(data.samples), SHARD):
            samples = data.samples[start : start + SHARD]

            def build(folder: Path, samples: Sequence[Sample] = samples) -> dict[str, Any]:
                nonlocal session
                session = session or open_session()
                begin = time.perf_counter()
                features = stream(session, preprocess, data, samples, output, progress)
                seconds = time.perf_counter() - begin
                if not np.isfinite(features).all():
                    bad = int((~np.isfinite(features)).any(axis=1).sum())
                    raise CellError(f"The features of {bad} of {len(samples)} images hold NaN or Inf.")
                np.save(folder / "features.npy", features)
                return {"images": len(samples), "seconds": seconds}

            entries.append(store.obtain("features", key("shard", of=whole, start=start, size=SHARD), build))
    finally:
        if session:
            session.close()
    images, seconds = (sum(e.fields[name] for e in entries) for name in ("images", "seconds"))
    features = np.concatenate([np.load(e.file("features.npy")) for e in entries])
    return features, {"images": images, "seconds": seconds, "images_per_s": images / seconds}


def stream(
    session: Session,
    preprocess: Preprocess,
    data: DataSet,
    samples: Sequence[Sample],
    output: str,
    progress: Progress = lambda done: None,
) -> npt.NDArray[np.float32]:
    """Features of ``samples``, float32 [n, d], through the session's largest batch."""
    batch = session.plan.profile.batches[-1]
    shape = next(o.shape for o in session.outputs if o.name == output)
    result = np.empty((len(samples), *shape), np.float32)

    def work(start: int) -> int:
        group = samples[start : start + batch]
        images = []
        for sample in group:
            try:
                images.append(preprocess(data.read(sample.id)))
            except (UserError, OSError) as error:
                raise CellError(
                    f"{sample.id} was readable when it was indexed, and no longer is.", str(error)
                ) from error
        images += images[-1:] * (batch - len(group))  # the last group is shorter, and its batch padded
        result[start : start + len(group)] = preprocess.run(session, images)[output][: len(group)]
        return len(group)

    with ThreadPoolExecutor(cores(), thread_name_prefix="features") as pool:
        try:
            for done in as_completed([pool.submit(work, start) for start in range(0, len(samples), batch)]):
                progress(done.result())
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return result

"""Outputs of a whole data set from one compiled plan: decode, preprocess and inference overlap, memory stays bounded.

Images go in shards through the store, so that an extraction that was killed goes on at the shard it was in. Within a
shard, each core takes a batch through decode, resize and engine while the other cores do the same with theirs. Nobody
waits for the slowest image of a common batch, so the cores stay busy; a session that can serve only one caller at a
time (a GPU's) lets them queue, and then they decode ahead of it. The last batch is padded, and the padding's rows are
thrown away, so that every batch has the size that was tuned.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.records.parts import Extraction
from bench.sweep.keys import shard_key
from bench.sweep.rows import ShardedRows
from engines.base import Session
from engines.preprocess.base import Preprocess
from engines.processor import cores
from export.errors import CellError, UserError
from export.store import Entry, Store
from tasks.data.base import DataSet, Sample

SHARD = 4096
KIND, FILE = "features", "rows.npy"
Progress = Callable[[int], None]
Floats = npt.NDArray[np.float32]


def extract(
    open_session: Callable[[], Session],
    keys: Mapping[str, str],
    preprocess: Preprocess,
    data: DataSet,
    store: Store,
    progress: Progress = lambda done: None,
) -> tuple[dict[str, ShardedRows], Extraction]:
    """The outputs named by ``keys`` for every sample of ``data``, in its order; all of them from the same runs.

    Args:
        open_session: opens the plan's session; called only when some shard is not in the store.
        keys: output → its feature key (see :func:`bench.sweep.keys.feature_key`).
        progress: called with the number of images finished since the last call.

    Returns:
        By output, float32 [n, …], memory-mapped; and how it went, of the shards as they were built.

    Raises:
        CellError: an output holds NaN or Inf, the plan has no such output, or an image that was readable when it was
            indexed no longer is, or is none that the preprocessing path takes.
    """
    shards: dict[str, list[Floats]] = {name: [] for name in keys}
    images, seconds = 0, 0.0
    session: Session | None = None
    try:
        for start in range(0, len(data.samples), SHARD):
            samples = data.samples[start : start + SHARD]
            own = {name: shard_key(whole, start, SHARD) for name, whole in keys.items()}
            entries = {name: store.try_load(KIND, of) for name, of in own.items()}
            missing = [name for name, entry in entries.items() if entry is None]
            if missing:
                session = session or open_session()
                entries |= _built(session, missing, own, preprocess, data, samples, store, progress)
            took = 0.0
            for name, entry in entries.items():
                assert entry is not None
                shards[name].append(np.load(entry.file(FILE), mmap_mode="r"))
                took = max(took, float(entry.fields["seconds"]))
            images, seconds = images + len(samples), seconds + took
    finally:
        if session:
            session.close()
    return {name: ShardedRows(parts) for name, parts in shards.items()}, Extraction(images, seconds)


def _built(
    session: Session,
    missing: Sequence[str],
    own: Mapping[str, str],
    preprocess: Preprocess,
    data: DataSet,
    samples: Sequence[Sample],
    store: Store,
    progress: Progress,
) -> dict[str, Entry]:
    """The missing outputs of one shard, run once for all of them, and published one by one."""
    done: dict[str, Floats] = {}
    seconds = 0.0

    def build(folder: Path, name: str) -> dict[str, Any]:
        nonlocal done, seconds
        if not done:  # under the first one's lock: another process that wants the same waits, and finds them all
            begin = time.perf_counter()
            done = stream(session, preprocess, data, samples, missing, progress)
            seconds = time.perf_counter() - begin
        np.save(folder / FILE, done[name])
        return {"images": len(samples), "seconds": seconds}

    return {
        name: store.obtain(KIND, own[name], lambda folder, name=name: build(folder, name))  # type: ignore[misc]
        for name in missing
    }


def stream(
    session: Session,
    preprocess: Preprocess,
    data: DataSet,
    samples: Sequence[Sample],
    outputs: Sequence[str],
    progress: Progress = lambda done: None,
) -> dict[str, Floats]:
    """Outputs of ``samples``, float32 [n, …] by name, through the session's largest batch.

    Raises:
        CellError: the plan has no such output, an image cannot be read, the path does not take it, or an output holds
            NaN or Inf.
    """
    batch = session.plan.profile.batches[-1]
    shapes = {o.name: o.shape for o in session.outputs}
    for name in outputs:
        if name not in shapes:
            raise CellError(f"The network has no output {name!r}.", f"It has {', '.join(shapes)}.")
    results = {name: np.empty((len(samples), *shapes[name]), np.float32) for name in outputs}

    def work(start: int) -> int:
        group = samples[start : start + batch]
        images = []
        for sample in group:
            try:
                images.append(preprocess(data.read(sample.id)))
            except CellError as error:
                raise CellError(f"{sample.id}: {error.what}", error.why, error.remedy) from error
            except (UserError, OSError) as error:
                raise CellError(f"{sample.id} was readable when indexed, but is not now.", str(error)) from error
        images += images[-1:] * (batch - len(group))  # the last group is shorter, and its batch padded
        found = preprocess.run(session, images)
        for name, rows in results.items():
            rows[start : start + len(group)] = found[name][: len(group)]
        return len(group)

    with ThreadPoolExecutor(cores(), thread_name_prefix="features") as pool:
        try:
            for done in as_completed([pool.submit(work, start) for start in range(0, len(samples), batch)]):
                progress(done.result())
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    for name, rows in results.items():
        if not np.isfinite(rows).all():
            bad = int((~np.isfinite(rows)).reshape(len(rows), -1).any(axis=1).sum())
            raise CellError(f"The {name} of {bad} of {len(samples)} images hold NaN or Inf.")
    return results

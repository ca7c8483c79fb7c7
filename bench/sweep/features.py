"""Outputs of a whole data set from compiled plans: decode, preprocess and inference overlap, memory stays bounded.

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
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.records.parts import Extraction
from bench.sweep.keys import shard_key
from bench.sweep.rows import ShardedRows
from engines.base import Session
from engines.preprocess.base import Preprocess
from engines.preprocess.reference import require_reference
from engines.processor import cores
from export.errors import CellError, UserError
from export.store import Entry, Store
from tasks.data.base import DataSet, Sample

SHARD = 4096
KIND, FILE = "features", "rows.npy"
Progress = Callable[[int], None]
Place = tuple[int, str]
"""Which plan, and which of its outputs."""
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Emitter:
    """A plan whose outputs are wanted for a whole data set.

    Attributes:
        open_session: opens the plan's session; called only when some shard is not in the store.
        keys: output → its feature key (see :func:`bench.sweep.keys.feature_key`).
    """

    open_session: Callable[[], Session]
    keys: Mapping[str, str]


def shards_of(data: DataSet) -> range:
    """The first row of each shard of a data set."""
    return range(0, len(data.samples), SHARD)


def extract(
    open_session: Callable[[], Session],
    keys: Mapping[str, str],
    preprocess: Preprocess,
    data: DataSet,
    store: Store,
    progress: Progress = lambda done: None,
) -> tuple[dict[str, ShardedRows], Extraction]:
    """:func:`together` of one plan."""
    [found] = together([Emitter(open_session, keys)], preprocess, data, store, progress)
    return found


def together(
    emitters: Sequence[Emitter],
    preprocess: Preprocess,
    data: DataSet,
    store: Store,
    progress: Progress = lambda done: None,
    starts: Sequence[int] | None = None,
) -> list[tuple[dict[str, ShardedRows], Extraction]]:
    """The outputs that each plan emits for every sample of ``data``, in its order: all of them from the same runs.

    Every image is read and prepared once for all the plans, which take the same pixels.

    Args:
        progress: called with the number of images finished since the last call.
        starts: the first rows of the shards that are wanted; all of :func:`shards_of` by default.

    Returns:
        For each plan its outputs by name, float32 [n, …], memory-mapped; and how it went, of the shards as they were
        built, by whichever plans were built with them.

    Raises:
        CellError: an output holds NaN or Inf, a plan has no such output, or an image that was readable when it was
            indexed no longer is, or is none that the preprocessing path takes; or the path does not give the
            reference's pixels.
    """
    shards: dict[Place, list[Floats]] = {(i, name): [] for i, one in enumerate(emitters) for name in one.keys}
    seconds = [0.0] * len(emitters)
    sessions: dict[int, Session] = {}
    with ExitStack() as stack:
        for start in shards_of(data) if starts is None else starts:
            samples = data.samples[start : start + SHARD]
            own = {(i, name): shard_key(emitters[i].keys[name], start, SHARD) for i, name in shards}
            entries = {place: store.try_load(KIND, of) for place, of in own.items()}
            missing = [place for place, entry in entries.items() if entry is None]
            for i in sorted({i for i, _ in missing} - sessions.keys()):
                sessions[i] = stack.enter_context(closing(emitters[i].open_session()))
            if missing:
                entries |= _built(sessions, missing, own, preprocess, data, samples, store, progress)
            took = [0.0] * len(emitters)
            for (i, name), entry in entries.items():
                assert entry is not None
                shards[i, name].append(np.load(entry.file(FILE), mmap_mode="r"))
                took[i] = max(took[i], float(entry.fields["seconds"]))
            seconds = [before + now for before, now in zip(seconds, took, strict=True)]
    return [
        (
            {name: ShardedRows(shards[i, name]) for name in one.keys},
            Extraction(len(data.samples), seconds[i]),
        )
        for i, one in enumerate(emitters)
    ]


def _built(
    sessions: Mapping[int, Session],
    missing: Sequence[Place],
    own: Mapping[Place, str],
    preprocess: Preprocess,
    data: DataSet,
    samples: Sequence[Sample],
    store: Store,
    progress: Progress,
) -> dict[Place, Entry]:
    """The missing outputs of one shard, run once for all of them, and published one by one."""
    done: dict[Place, Floats] = {}
    seconds = 0.0

    def build(folder: Path, place: Place) -> dict[str, Any]:
        nonlocal done, seconds
        if not done:  # under the first one's lock: another process that wants the same waits, and finds them all
            begin = time.perf_counter()
            done = _streamed(sessions, missing, preprocess, data, samples, progress)
            seconds = time.perf_counter() - begin
        np.save(folder / FILE, done[place])
        return {"images": len(samples), "seconds": seconds}

    return {
        place: store.obtain(KIND, own[place], lambda folder, place=place: build(folder, place))  # type: ignore[misc]
        for place in missing
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
    found = _streamed({0: session}, [(0, name) for name in outputs], preprocess, data, samples, progress)
    return {name: rows for (_, name), rows in found.items()}


def _streamed(
    sessions: Mapping[int, Session],
    places: Sequence[Place],
    preprocess: Preprocess,
    data: DataSet,
    samples: Sequence[Sample],
    progress: Progress,
) -> dict[Place, Floats]:
    """:func:`stream` of several sessions, whose plans have the same batches."""
    batch = next(iter(sessions.values())).plan.profile.batches[-1]
    results: dict[Place, Floats] = {}
    for i, name in places:
        shapes = {o.name: o.shape for o in sessions[i].outputs}
        if name not in shapes:
            raise CellError(f"The network has no output {name!r}.", f"It has {', '.join(shapes)}.")
        results[i, name] = np.empty((len(samples), *shapes[name]), np.float32)

    def work(start: int) -> int:
        group = samples[start : start + batch]
        images = []
        for sample in group:
            try:
                images.append(preprocess(encoded := data.read(sample.id)))
                if sample is samples[0]:
                    require_reference(preprocess, encoded, images[-1])
            except CellError as error:
                raise CellError(f"{sample.id}: {error.what}", error.why, error.remedy) from error
            except (UserError, OSError) as error:
                raise CellError(f"{sample.id} was readable when indexed, but is not now.", str(error)) from error
        images += images[-1:] * (batch - len(group))  # the last group is shorter, and its batch padded
        for i in {i for i, _ in places}:
            found = preprocess.run(sessions[i], images)
            for (of, name), rows in results.items():
                if of == i:
                    rows[start : start + len(group)] = found[name][: len(group)]
        return len(group)

    with ThreadPoolExecutor(cores(), thread_name_prefix="features") as pool:
        try:
            for done in as_completed([pool.submit(work, start) for start in range(0, len(samples), batch)]):
                progress(done.result())
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    for (_, name), rows in results.items():
        if not np.isfinite(rows).all():
            bad = int((~np.isfinite(rows)).reshape(len(rows), -1).any(axis=1).sum())
            raise CellError(f"The {name} of {bad} of {len(samples)} images hold NaN or Inf.")
    return results

"""The page to read first: how a sweep becomes records. One stage a line, and no branch on a name.

backbone ─▶ artifact ─▶ plan ─▶ parity ─▶ features ─▶ task ─▶ score record
                          └────▶ scenarios, in child processes ─▶ timing records
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.measure.scenarios import scenario
from bench.records.record import Record
from bench.sweep import features, gate, timing
from bench.sweep.cells import OUTPUT, Planned
from bench.sweep.desk import Desk, about, arithmetic, built, score_record, timing_record
from engines.base import Plan
from engines.preprocess.catalog import preprocess
from export.artifact import Artifact
from export.errors import OutOfSpace, UserError
from export.progress import counting, say
from tasks.base import FeatureSet, Splits, Task
from tasks.data.base import SPLITS, DataSet


class Skip(UserError):
    """A result that is not meant to be: it is kept with its reason, and is no failure."""


def run(cells: Sequence[Planned], data: Sequence[DataSet], desk: Desk) -> bool:
    """Run what is not finished; every result that was asked for ends in a record.

    Returns:
        Whether nothing failed (a skip is no failure).

    Raises:
        OutOfSpace: the disk is full; what was finished is kept.
    """
    good = True
    timed: list[timing.Timed] = []
    for number, planned in enumerate(cells, 1):
        say(f"[{number}/{len(cells)}] {planned.cell}")
        try:
            if not planned.availability.ok:
                found = planned.availability
                raise Skip(f"{planned.cell.engine} cannot run {planned.precision} here.", found.reason, found.remedy)
            for images in data:
                good &= score(planned, images, desk)
            timed += timing.prepare(planned, data[0], desk)
        except OutOfSpace:
            raise
        except UserError as error:
            good &= _give_up(planned, data, desk, error)
    return timing.run(timed, desk) and good


def score(planned: Planned, images: DataSet, desk: Desk) -> bool:
    """Score one cell on one data set with every task that is not finished; whether none failed."""
    scorers = [scorer for _, scorer in planned.owed([images]) if not desk.finished(planned.score_key(images, scorer))]
    if not scorers:
        return True
    if planned.unscored:
        error = Skip(planned.unscored)
        for scorer in scorers:
            desk.keep_failure(score_record(planned, images, scorer), error, "skipped")
        return True
    artifact = planned.artifact()
    plan = planned.throughput.plan(artifact, planned.profile, planned.store)
    parity = gate.check(planned, artifact, plan)
    vectors, extraction = extracted(planned, artifact, plan, images)
    splits = split(vectors, images)
    known = {"parity": parity, "extraction": extraction, **arithmetic(plan)}
    scored = [_score(planned, images, artifact, plan, splits, scorer, known, desk) for scorer in scorers]
    return all(scored)


def extracted(
    planned: Planned, artifact: Artifact, plan: Plan, images: DataSet
) -> tuple[npt.NDArray[np.float32], dict[str, Any]]:
    """Features of all images, float32 [n, d] in the data set's order, and how the extraction went.

    Those of a data set that is put together are its parts', which are extracted once for all that they are parts of.
    """
    if images.parts:
        return _gathered(images, [extracted(planned, artifact, plan, part) for part in images.parts])
    path = preprocess(planned.sweep.preprocess, artifact.preprocess, planned.store)
    with counting(f"  features of {images.name}", len(images.samples)) as advance:
        return features.extract(
            lambda: planned.throughput.load(plan),
            features.feature_key(plan.key, planned.preprocess, images, OUTPUT),
            path,
            images,
            OUTPUT,
            planned.store,
            advance,
        )


def _gathered(
    images: DataSet, found: Sequence[tuple[npt.NDArray[np.float32], dict[str, Any]]]
) -> tuple[npt.NDArray[np.float32], dict[str, Any]]:
    rows = {
        f"{number}:{sample.id}": vectors[i]
        for number, (part, (vectors, _)) in enumerate(zip(images.parts, found, strict=True))
        for i, sample in enumerate(part.samples)
    }
    count, seconds = (sum(how[name] for _, how in found) for name in ("images", "seconds"))
    how = {"images": count, "seconds": seconds, "images_per_s": count / seconds}
    return np.stack([rows[sample.id] for sample in images.samples]), how


def split(vectors: npt.NDArray[np.float32], images: DataSet) -> Splits:
    """Features in the data set's order → its three splits, and the junk pairs as rows of test and train."""
    labels = np.array([s.label for s in images.samples], np.int64)
    where = np.array([s.split for s in images.samples])
    parts = {name: FeatureSet(vectors[where == name], labels[where == name], images.classes) for name in SPLITS}
    test, train = ({s.id: row for row, s in enumerate(images.split(name))} for name in ("test", "train"))
    junk = np.array([(test[query], train[image]) for query, image in images.junk], np.int64).reshape(-1, 2)
    return Splits(parts["train"], parts["val"], parts["test"], junk)


def _score(
    planned: Planned,
    images: DataSet,
    artifact: Artifact,
    plan: Plan,
    splits: Splits,
    scorer: Task,
    known: dict[str, Any],
    desk: Desk,
) -> bool:
    record = score_record(planned, images, scorer)
    begin = time.perf_counter()
    try:
        scorer.check(splits)
        found = scorer.score(splits, planned.sweep.seed)
    except UserError as error:
        say(f"  {scorer.meta.name} on {images.name} failed: {error.what}")
        desk.keep_failure(record, error)
        return False
    features_key = features.feature_key(plan.key, planned.preprocess, images, OUTPUT)
    record = replace(
        record,
        key=planned.score_key(images, scorer),
        metrics=tuple(found.metrics),
        per_sample=[float(v) for v in found.per_sample],
        per_draw=[float(v) for v in found.per_draw],
        keys={**built(planned, plan), "features": features_key},
        backbone=about(planned, artifact),
        detail={**known, "chosen": dict(found.chosen), "sweep": [dict(row) for row in found.sweep]},
        seconds=time.perf_counter() - begin,
    )
    desk.keep(record)
    say(f"  {scorer.meta.name} on {images.name}: {found.main.name} {found.main.value:.2f} {found.main.unit}")
    return True


def _give_up(planned: Planned, data: Sequence[DataSet], desk: Desk, error: UserError) -> bool:
    """A cell that cannot be built: every result that it owes becomes a record with the reason."""
    skipped = isinstance(error, Skip)
    say(f"  {'skipped' if skipped else 'failed'}: {error}")
    owed: list[Record] = [score_record(planned, images, scorer) for images, scorer in planned.owed(data)]
    owed += [timing_record(planned, data[0], scenario(s), desk.machine) for s in planned.sweep.scenarios]
    for record in owed:
        desk.keep_failure(record, error, "skipped" if skipped else "failed")
    return skipped

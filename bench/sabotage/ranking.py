"""Traps of ranking: what stands beside what in one table, and what is made of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bench.records.record import Record, ScoreRecord
from bench.records.results import Results
from bench.sabotage.bed import STREAM, Bed, Run
from bench.sabotage.trap import Answer, Traps, refusal, require, require_bite
from bench.verdict.choose import ranking_of
from bench.verdict.ranking import Ranking
from tasks.few_shot import FewShot
from tasks.knn import Knn

RANKING = Traps("scoring")


def named(record: Record, backbone: str) -> Record:
    """The record as another backbone's."""
    return replace(
        record, key=f"{record.key[:-8]}{abs(hash(backbone)) % 10**8:08d}", cell=replace(record.cell, backbone=backbone)
    )


def scored(record: ScoreRecord, backbone: str, answers: Sequence[float]) -> ScoreRecord:
    """A score as another backbone's, with other answers to the test images (0 or 100 each)."""
    main = replace(
        record.main, value=float(np.mean(answers)), stderr=float(np.std(answers, ddof=1) / len(answers) ** 0.5)
    )
    changed = replace(record, metrics=(main, *record.metrics[1:]), per_sample=list(answers), per_draw=[])
    other = named(changed, backbone)
    assert isinstance(other, ScoreRecord)
    return other


def answers(count: int, right: int) -> list[float]:
    """So many right answers of ``count``."""
    return [100.0 * (i < right) for i in range(count)]


def table(records: Sequence[Record]) -> Ranking:
    """The ranking of these records."""
    return ranking_of(Results(tuple(records)))


@RANKING.add(
    "overlap",
    29,
    "pretraining data that contain the test set",
    "scores on CIFAR-10 of a backbone that was pretrained on ImageNet",
    "flagged",
)
def overlap(bed: Bed) -> Answer:
    """What was published of each pair is in the zoo; ranks are given with and without."""
    score = _score(bed)
    published = replace(score, subject=replace(score.subject, published="cifar10"))
    seen = replace(published, about=replace(score.about, pretrain_data="IN-1k"))
    found = table(
        [
            scored(seen, "has_seen", answers(100, 90)),
            *(scored(published, f"has_not_{i}", answers(100, 60 - i)) for i in range(2)),
        ]
    )
    first = found.sheet.labels[found.standings[0].row]["backbone"]
    require_bite(first == "has_seen", f"{first} is first")
    marks = {known.mark for known in found.sheet.overlaps.values() if known.flagged}
    require(bool(marks) and found.clean is not None, "no mark")
    foot = next(line for line in found.foot() if "cifar10" in line and "ImageNet" in line)
    return Answer("flagged", f"marked {', '.join(marks)}, and ranked without as well. {foot}", "it is first")


@RANKING.add("small-gap", 30, "a gap smaller than its error", "two cells that differ in one answer of 100", "unmoved")
def small_gap(bed: Bed) -> Answer:
    """Paired bootstrap: no rank inside the interval."""
    score = _score(bed)
    found = table([scored(score, "one", answers(100, 81)), scored(score, "other", answers(100, 80))])
    values = found.sheet.values[:, 0]
    require_bite(values[0] != values[1], f"{values}")
    ranks = [standing.rank for standing in found.standings]
    require(set(ranks) == {"1–2"}, f"{ranks}")
    return Answer(
        "unmoved",
        "both have rank 1–2: the difference is not significant",
        f"{max(values):.0f} % wins over {min(values):.0f} %",
    )


@RANKING.add(
    "missing", 31, "z-scores over missing cells", "a backbone without the score at which it is worst", "refused"
)
def missing(bed: Bed) -> Answer:
    """A row that lacks a setting is not ranked, unless averaging is asked for; the foot says which."""
    run = _tasks(bed)
    easy, hard = (
        next(r for r in run.results.records if isinstance(r, ScoreRecord) and r.subject.task == task)
        for task in (Knn.meta.name, FewShot.meta.name)
    )
    rights = {"even": (80, 70), "better": (85, 75), "spared": (90, None)}
    records = [
        scored(kind, name, answers(100, right))
        for name, pair in rights.items()
        for kind, right in zip((easy, hard), pair, strict=True)
        if right is not None
    ]
    found = table(records)
    z = (found.sheet.values - np.nanmean(found.sheet.values, axis=0)) / np.nanstd(found.sheet.values, axis=0)
    naive = found.sheet.labels[int(np.nanmean(z, axis=1).argmax())]["backbone"]
    require_bite(naive == "spared", f"{naive} is first")
    row = next(i for i, label in enumerate(found.sheet.labels) if label["backbone"] == "spared")
    require(row not in found.ranked, "it is ranked")
    foot = found.foot()[0].partition("ranked rows; ")[2]
    return Answer(
        "refused", f"not ranked: {found.sheet.why[row]}. The foot: {foot}", "it is first, by the mean of what it has"
    )


@RANKING.add(
    "machines",
    32,
    "rows of different machines in one table",
    "timings of a second machine under the same folder",
    "refused",
)
def machines(bed: Bed) -> Answer:
    """The machine's id is in every timing."""
    run = bed.sweep(scenarios=(STREAM,), repeats=1)
    first = run.timing()
    other = replace(
        named(first, "elsewhere"), environment=replace(first.environment, id="f00df00d", processor="another processor")
    )
    require_bite(other.environment != first.environment, "the machine is the same")
    said = refusal(lambda: table([first, other])).replace(first.environment.name, "this machine")
    return Answer("refused", said, "one column of milliseconds")


@RANKING.add(
    "threads",
    32,
    "rows of a different machine state in one table",
    "one cell timed with one thread, another with two",
    "refused",
)
def threads(bed: Bed) -> Answer:
    """The protocol hash holds scenario, machine, threads, images and preprocessing."""
    one, two = (bed.sweep(scenarios=(STREAM,), repeats=1, threads=n).timing() for n in (1, 2))
    require_bite(one.cell.threads != two.cell.threads, "the threads are the same")
    return Answer("refused", refusal(lambda: table([one, named(two, "another")])), "one column of milliseconds")


def _tasks(bed: Bed) -> Run:
    return bed.sweep(tasks=(Knn.meta.name, FewShot.meta.name), data=(str(bed.photos),))


def _score(bed: Bed) -> ScoreRecord:
    return bed.sweep(tasks=(Knn.meta.name,)).score()

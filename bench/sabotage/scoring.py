"""Traps of scoring: what is learned from which images, and what is remembered of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.sabotage import files
from bench.sabotage.bed import Bed, draw
from bench.sabotage.ranking import table
from bench.sabotage.trap import Answer, Traps, refusal, require, require_bite
from bench.sweep.features import stream
from tasks.base import FEATURES, Batchwise, Labels
from tasks.knn import Knn
from tasks.linear_probe import LinearProbe
from tasks.scoring import softmax_regression
from tasks.scoring.linear_classifier import PENALTIES

SCORING = Traps("scoring")
CLASSES = ("a", "b", "c")
Floats = npt.NDArray[np.float32]


def drawn(seed: int, number: int = 120, width: int = 40, apart: float = 1.0) -> Batchwise:
    """Features of three classes, some distance apart, in noise."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, len(CLASSES), number)
    centres = apart * np.random.default_rng(99).standard_normal((len(CLASSES), width))
    rows = (centres[labels] + 2 * random.standard_normal((number, width))).astype(np.float32)
    return Batchwise({FEATURES: rows}, Labels(labels, CLASSES))


def with_rows(batch: Batchwise, change: Callable[[Floats], Floats]) -> Batchwise:
    """The same images with other features."""
    return replace(batch, outputs={FEATURES: change(batch.features)})


def shuffled(batch: Batchwise) -> Batchwise:
    """The same features with the labels of other images."""
    return replace(batch, targets=Labels(np.random.default_rng(1).permutation(batch.labels), CLASSES))


@SCORING.add("test-set", 24, "chosen on the test set", "test labels that reward the best of many heads", "unmoved")
def test_set(bed: Bed) -> Answer:
    """A fit is not shown the test images: any labels there leave what was chosen as it is."""
    train, val, test = (drawn(seed, apart=0) for seed in range(3))
    probe = LinearProbe()
    fitted = probe.fit(train, val, 0)
    ours = probe.judge(fitted, test).main.value or 0.0
    mean, scale = fitted.arrays["mean"], fitted.arrays["scale"]
    rows, asked = (((part.features - mean) * scale).astype(np.float32) for part in (train, test))
    heads = softmax_regression.fit(rows, train.labels, len(CLASSES), PENALTIES)
    naive = max(100 * float((head.logits(asked).argmax(axis=1) == test.labels).mean()) for head in heads)
    require_bite(naive > ours, f"the best head on test has {naive:.1f} %, that on val {ours:.1f} %")
    other = probe.judge(fitted, shuffled(test))
    require(other.main.value != ours and dict(fitted.chosen) == dict(probe.fit(train, val, 0).chosen), "it moved")
    return Answer(
        "unmoved",
        f"penalty {fitted.chosen['penalty']:g}, chosen on val, whatever the test labels",
        f"on pure noise {naive:.1f} % instead of {ours:.1f} %",
    )


@SCORING.add(
    "learning-rate",
    25,
    "one learning rate for all backbones",
    "a few features a thousand times as large as the others",
    "unmoved",
)
def learning_rate(bed: Bed) -> Answer:
    """L-BFGS on standardised features, to convergence."""
    parts = [drawn(seed) for seed in range(3)]
    factors = np.where(np.arange(parts[0].features.shape[1]) < 5, 1000, 1).astype(np.float32)
    large = [with_rows(part, lambda rows: rows * factors) for part in parts]

    def sgd(train: Batchwise, _: Batchwise, test: Batchwise) -> float:
        weights = np.zeros((train.features.shape[1], len(CLASSES)))
        right = np.eye(len(CLASSES))[train.labels]
        for _step in range(100):
            logits = train.features @ weights
            shares = np.exp(logits - logits.max(axis=1, keepdims=True))
            shares /= shares.sum(axis=1, keepdims=True)
            weights -= 0.01 * train.features.T @ (shares - right) / len(train)
        return 100 * float(((test.features @ weights).argmax(axis=1) == test.labels).mean())

    def probe(train: Batchwise, val: Batchwise, test: Batchwise) -> float:
        fitted = LinearProbe().fit(train, val, 0)
        require(bool(fitted.chosen["converged"]), "it has not converged")
        return LinearProbe().judge(fitted, test).main.value or 0.0

    naive, ours = abs(sgd(*large) - sgd(*parts)), abs(probe(*large) - probe(*parts))
    require_bite(naive > 1, f"SGD moves by {naive:.1f} points")
    require(ours < 0.5, f"the probe moves by {ours:.1f} points")
    return Answer(
        "unmoved",
        f"the score moves by {ours:.1f} points; convergence is checked",
        f"SGD at one rate moves by {naive:.1f} points",
    )


@SCORING.add("neighbours", 26, "k-NN protocols that disagree", "features of very different lengths", "unmoved")
def neighbours(bed: Bed) -> Answer:
    """L2-normalised, k = 20, T = 0.07: one protocol, in every record."""
    lengths = np.random.default_rng(5)
    parts = [drawn(seed) for seed in range(3)]
    long = [
        with_rows(part, lambda rows: (rows * np.exp(lengths.normal(0, 1.5, (len(rows), 1)))).astype(np.float32))
        for part in parts
    ]

    def plain(train: Batchwise, _: Batchwise, test: Batchwise) -> float:
        near = (test.features @ train.features.T).argsort(axis=1)[:, -20:]
        votes = np.array([np.bincount(train.labels[row], minlength=len(CLASSES)).argmax() for row in near])
        return 100 * float((votes == test.labels).mean())

    def ours(train: Batchwise, val: Batchwise, test: Batchwise) -> float:
        return Knn().judge(Knn().fit(train, val, 0), test).main.value or 0.0

    naive, moved = abs(plain(*long) - plain(*parts)), abs(ours(*long) - ours(*parts))
    require_bite(naive > 2, f"dot products move by {naive:.1f} points")
    require(moved < 0.01, f"it moves by {moved:.1f} points")
    return Answer(
        "unmoved", f"the score moves by {moved:.1f} points", f"by dot products it moves by {naive:.1f} points"
    )


@SCORING.add(
    "stale-features", 27, "a stale feature cache", "photographs that were exchanged under their old names", "unmoved"
)
def stale_features(bed: Bed) -> Answer:
    """The key of features holds the content of every image."""
    folder = draw(bed.folder / "exchanged")
    first = bed.sweep(tasks=(Knn.meta.name,), data=(str(folder),)).score()
    images = sorted(folder.rglob("*.jpg"))
    contents = [file.read_bytes() for file in images]
    for file, content in zip(images, [*contents[7:], *contents[:7]], strict=True):
        file.write_bytes(content)
    second = bed.sweep(tasks=(Knn.meta.name,), data=(str(folder),)).score()
    require_bite(contents != [file.read_bytes() for file in images], "nothing was exchanged")
    require(first.keys.features != second.keys.features and first.key != second.key, "the same features were taken")
    return Answer(
        "unmoved",
        "other content, another digest: extracted again under another key",
        "features by file name are those of other images",
    )


@SCORING.add(
    "labels", 27, "a shuffled label file", "a table of labels whose rows were shuffled between two runs", "refused"
)
def labels(bed: Bed) -> Answer:
    """Labels and splits are in the digest of a data set, and in the protocol of every score."""
    folder = draw(bed.folder / "table")
    names = [file.relative_to(folder).as_posix() for file in sorted(folder.rglob("*.jpg"))]
    classes = [name.partition("/")[0] for name in names]
    runs = []
    for order in (np.arange(len(names)), np.random.default_rng(3).permutation(len(names))):
        rows = [f"{name},{classes[i]}" for name, i in zip(names, order, strict=True)]
        (folder / "labels.csv").write_text("\n".join(["path,label", *rows]) + "\n")
        runs.append(bed.sweep(tasks=(Knn.meta.name,), data=(str(folder / "labels.csv"),)))
    values = [run.score().main.value or 0.0 for run in runs]
    require_bite(values[0] - values[1] > 10, f"{values}")
    require(runs[0].score().keys.fit != runs[1].score().keys.fit, "the fit of the other labels was taken")
    both = replace(runs[0].results, records=(*runs[0].results.records, *_as_other(runs[1])))
    said = refusal(lambda: table(list(both.records)))
    return Answer("refused", said, f"{values[0]:.0f} % and {values[1]:.0f} % in one column")


def _as_other(run: Any) -> list[Any]:
    """Its records as those of another backbone, so that they would stand beside the first."""
    return [replace(r, key=f"{r.key[:-1]}z", cell=replace(r.cell, backbone="another")) for r in run.results.records]


@SCORING.add(
    "batch", 28, "scores that depend on the batch", "a finished file that subtracts the mean of its batch", "refused"
)
def batch(bed: Bed) -> Answer:
    """A file is run image by image and in batches before it is taken."""
    file = files.batch_centred(bed)
    run = bed.sweep(models=(str(file),), tasks=(Knn.meta.name,))
    failure = run.score().failure
    require(failure is not None, f"it has {run.score().metrics and run.score().main.value} %")
    assert failure is not None
    return Answer("refused", f"{failure.what} {failure.why}", "features move with the neighbours in the batch")


@SCORING.add("padding", 28, "a last batch that is padded", "31 images in batches of 4", "unmoved")
def padding(bed: Bed) -> Answer:
    """The padding's rows are thrown away."""
    samples = bed.images.samples[:31]
    require_bite(len(samples) % 4 != 0, "no batch is padded")
    with bed.session() as session:
        whole = stream(session, bed.path, bed.images, samples, [FEATURES])[FEATURES]
        single = np.concatenate([session.run(bed.path(bed.images.read(s.id))[None])[FEATURES] for s in samples])
    gap = float(np.abs(whole - single).max() / np.abs(single).max())
    require(whole.shape == single.shape and gap < 1e-4, f"{whole.shape}, {gap:.2g}")
    return Answer("unmoved", f"31 rows, as image by image (largest difference {gap:.1e})", "32 rows, or 28")

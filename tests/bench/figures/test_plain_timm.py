from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from bench.figures.plain_timm import probes
from tasks.base import Batchwise, Labels, Splits
from tasks.catalog import task
from tasks.data.base import SPLITS


@pytest.mark.parametrize(("number", "name"), list(enumerate(["knn", "linear_probe"])))
def test_it_scores_by_the_protocol_of_the_tasks(number: int, name: str) -> None:
    from sklearn.datasets import load_digits

    digits = load_digits(n_class=4)
    random = np.random.default_rng(0)
    order = random.permutation(len(digits.target))
    pixels = digits.data + random.normal(0, 8, digits.data.shape)  # not separable: the best penalty is not the weakest
    parts: dict[str, npt.NDArray[np.int64]] = dict(zip(SPLITS, np.split(order, [300, 450]), strict=True))
    rows = {split: pixels[part].astype(np.float32) for split, part in parts.items()}
    labels = {split: digits.target[part].astype(np.int64) for split, part in parts.items()}
    classes = tuple("0123")
    splits = Splits(*(Batchwise({"features": rows[s]}, Labels(labels[s], classes)) for s in SPLITS))
    scorer = task(name)
    score = scorer.judge(scorer.fit(splits.train, splits.val, 0), splits.test)
    assert score.main.value is not None
    one_image = 100 / len(labels["test"])
    assert probes(rows, labels)[number] == pytest.approx(score.main.value, abs=1.01 * one_image)

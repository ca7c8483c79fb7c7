from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.sweep.fits import fitted
from export.errors import UserError
from export.store import Store
from tasks.base import Batchwise, Fitted, Labels, Score, Task, TaskMeta
from tasks.scoring.metrics import accuracy

META = TaskMeta("toy", 1, "accuracy", "")


class Toy(Task):
    """Learns the mean, and counts how often."""

    meta = META

    def __init__(self) -> None:
        self.fits = 0

    def fit(self, train: Batchwise, val: Batchwise, seed: int) -> Fitted:
        self.fits += 1
        if not len(val):
            raise UserError("There is no val.")
        return Fitted(train, seed, {"mean": train.features.mean(axis=0)}, {"λ": 0.1}, [{"λ": 0.1, "val": 50.0}])

    def judge(self, fitted: Fitted, test: Batchwise) -> Score:
        return Score(*accuracy(np.zeros(len(test), np.int64), test.labels))


def batch(count: int) -> Batchwise:
    features = np.random.default_rng(count).random((count, 3), np.float32)
    return Batchwise({"features": features}, Labels(np.zeros(count, np.int64), ("a",)))


def test_a_fit_is_made_once_and_comes_back_as_it_was(tmp_path: Path) -> None:
    toy, store = Toy(), Store(tmp_path, lambda line: None)
    made = toy.fit(batch(5), batch(2), 7)
    found = [fitted(toy, batch(5), batch(2), 7, "key", store) for _ in range(3)]
    assert toy.fits == 2
    for one in found:
        np.testing.assert_array_equal(one.arrays["mean"], made.arrays["mean"])
        assert toy.judge(one, batch(4)).main.value == 100
        assert (one.chosen, list(one.sweep), one.seed, len(one.train)) == ({"λ": 0.1}, list(made.sweep), 7, 5)
    fitted(toy, batch(6), batch(2), 7, "other key", store)
    assert toy.fits == 3


def test_what_cannot_be_fitted_leaves_nothing_behind(tmp_path: Path) -> None:
    store = Store(tmp_path, lambda line: None)
    with pytest.raises(UserError, match="no val"):
        fitted(Toy(), batch(5), batch(0), 0, "key", store)
    assert store.try_load("fit", "key") is None

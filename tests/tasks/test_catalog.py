"""What every task of the catalogue keeps to: its fit can be written down, shared, and judged as often as one likes."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from batches import opened, rows_of, score, with_features

from tasks.base import Batchwise, Fitted, Score, Splits
from tasks.catalog import TASKS, task
from tasks.scoring import softmax_regression

KNOWN = 7
SEED = 3
LABELS = [name for name in TASKS if (task(name).meta.kind, task(name).meta.head) == ("labels", "")]
"""The tasks that the digits can be used for: those that are judged on features."""


def splits_for(name: str, digits: Splits) -> Splits:
    return digits if task(name).meta.scope == "closed" else opened(digits, KNOWN)


def assert_same(one: Score, other: Score) -> None:
    assert one.metrics == other.metrics
    np.testing.assert_array_equal(one.per_sample, other.per_sample)
    np.testing.assert_array_equal(one.per_draw, other.per_draw)


def assert_same_fit(one: Fitted, other: Fitted) -> None:
    assert one.chosen == other.chosen
    assert list(one.sweep) == list(other.sweep)
    assert set(one.arrays) == set(other.arrays)
    for name, array in one.arrays.items():
        assert array.dtype == other.arrays[name].dtype
        np.testing.assert_array_equal(array, other.arrays[name])


def read_back(fitted: Fitted, folder: Path) -> Fitted:
    """What is left of a fit that went to disk; the features it was fitted on are handed back beside it."""
    arrays: dict[str, Any] = dict(fitted.arrays)
    np.savez(folder / "fit.npz", **arrays)
    values = {"chosen": dict(fitted.chosen), "sweep": [dict(row) for row in fitted.sweep], "seed": fitted.seed}
    (folder / "fit.json").write_text(json.dumps(values))
    with np.load(folder / "fit.npz", allow_pickle=False) as file:
        return Fitted(fitted.train, arrays=dict(file), **json.loads((folder / "fit.json").read_text()))


@pytest.mark.parametrize("name", LABELS)
def test_a_fit_is_written_read_back_and_judged_without_fitting(
    name: str, digit_splits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    splits = splits_for(name, digit_splits)
    one, other = task(name), task(name)
    fitted = one.fit(splits.train, splits.val, SEED)
    back = read_back(fitted, tmp_path)

    def refuse(*arguments: object) -> None:
        raise AssertionError("something is fitted to judge")

    monkeypatch.setattr(softmax_regression._Problems, "minimize", refuse)
    wanted = one.judge(fitted, splits.test)
    assert_same(wanted, other.judge(back, splits.test))
    assert_same_fit(fitted, back)  # judging has changed neither
    moved = with_features(splits.test, splits.test.features[::-1])
    assert other.judge(back, moved).main.value != wanted.main.value
    reseeded = other.judge(replace(back, seed=SEED + 1), splits.test)
    assert (reseeded.metrics != wanted.metrics) == (name != "retrieval")  # which draws nothing


@pytest.mark.parametrize("name", LABELS)
def test_rows_on_disk_are_scored_as_rows_in_memory(name: str, digit_splits: Splits, tmp_path: Path) -> None:
    splits = splits_for(name, digit_splits)

    def on_disk(part: Batchwise, split: str) -> Batchwise:
        np.save(tmp_path / f"{split}.npy", part.features)
        return replace(part, outputs={"features": np.load(tmp_path / f"{split}.npy", mmap_mode="r")})

    mapped = Splits(*(on_disk(getattr(splits, split), split) for split in ("train", "val", "test")))
    assert isinstance(mapped.test.outputs["features"], np.memmap)
    assert_same(score(task(name), mapped), score(task(name), splits))


def test_tasks_that_name_one_fit_make_the_same_one(digit_splits: Splits) -> None:
    splits = opened(digit_splits, KNOWN)
    tests = {"open": splits.test, "closed": rows_of(splits.test, splits.test.labels < KNOWN)}
    shared = [
        (one, other) for one, other in permutations(LABELS, 2) if task(one).meta.fitted_as == task(other).meta.fitted_as
    ]
    assert ("linear_probe", "out_of_scope") in shared
    for one, other in shared:
        test = tests[task(other).meta.scope]
        given = task(one).fit(splits.train, splits.val, SEED)
        own = task(other).fit(splits.train, splits.val, SEED)
        assert_same_fit(given, own)
        assert_same(task(other).judge(given, test), task(other).judge(own, test))


def test_a_fit_of_ones_own_is_named_after_the_task() -> None:
    for name in TASKS:
        meta = task(name).meta
        json.dumps(dict(meta.fitted_as.settings))  # they go into a key
        if meta.fit is None:
            assert (meta.fitted_as.name, meta.fitted_as.version) == (name, meta.version)
            assert meta.fitted_as.settings == meta.settings
        else:
            assert meta.fit.name not in TASKS

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from batches import rows_of, with_labels

from export.errors import CellError, UserError
from tasks.base import Batchwise, Labels, Splits
from tasks.scoring import requirements
from tasks.scoring.requirements import (
    blocks,
    require_finite,
    require_fittable,
    require_gallery,
    require_judgeable,
    require_queries,
)


def labels(*values: int) -> Labels:
    return Labels(np.array(values, np.int64), ("a", "b", "c", "d"))


def test_what_can_be_fitted_and_judged_passes() -> None:
    require_fittable(labels(0, 2), labels(2))
    require_judgeable(labels(0, 2), labels(0))
    require_gallery(labels(0, 2))
    require_queries(labels(0, 2), labels(2))


@pytest.mark.parametrize(
    ("train", "val", "sentence"),
    [
        (labels(), labels(0), "The train split is empty"),
        (labels(0, 1), labels(), "no val split"),
        (labels(1, 1), labels(1), "only one class"),
        (
            labels(0, 1),
            labels(0, 3, 2),
            r"The val split has classes that train lacks.\nWithout training images: c, d",
        ),
    ],
)
def test_what_cannot_be_fitted_gets_a_sentence(train: Labels, val: Labels, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        require_fittable(train, val)


def test_what_cannot_be_judged_gets_a_sentence() -> None:
    with pytest.raises(UserError, match="The test split is empty"):
        require_judgeable(labels(0, 1), labels())
    with pytest.raises(UserError, match=r"The test split has classes that train lacks.\nWithout training images: d"):
        require_judgeable(labels(0, 1), labels(3, 0))


def test_what_cannot_be_searched_gets_a_sentence() -> None:
    with pytest.raises(UserError, match=r"gallery \(train\) has no images"):
        require_gallery(labels())
    with pytest.raises(UserError, match="The gallery has only one class"):
        require_gallery(labels(2, 2))
    with pytest.raises(UserError, match=r"queries \(test\) have no images"):
        require_queries(labels(0, 1), labels())
    with pytest.raises(UserError, match=r"2 classes of the queries are not in the gallery.\nThey are: c, d"):
        require_queries(labels(0, 1), labels(3, 2, 3, 1))


@pytest.mark.parametrize("block", [1, 100, 1 << 20])
def test_broken_rows_are_counted_in_whatever_parts_they_are_read(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requirements, "BLOCK", block)
    tokens = np.zeros((7, 4, 3), np.float32)
    broken = tokens.copy()
    broken[2, 1:] = np.nan
    broken[6, 0, 0] = -np.inf
    part = Batchwise({"features": tokens[:, 0], "tokens": broken}, labels(0, 1, 0, 1, 0, 1, 0))
    require_finite(("features",), train=part, val=part)
    with pytest.raises(CellError, match="The tokens of 2 of 7 val samples hold NaN or Inf"):
        require_finite(("features", "tokens"), train=rows_of(part, slice(0, 2)), val=part)
    parts = list(blocks(tokens))
    assert len(parts) == {1: 7, 100: 4, 1 << 20: 1}[block]
    np.testing.assert_array_equal(np.concatenate(parts), tokens)
    assert list(blocks(tokens[:0])) == []


def test_every_task_refuses_a_broken_split_where_it_meets_it(digit_splits: Splits) -> None:
    from tasks.catalog import TASKS, task

    def broken(part: Batchwise) -> Batchwise:
        features = part.features.copy()
        features[3, 5] = np.nan
        return replace(part, outputs={"features": features})

    train, val, test = digit_splits.train, digit_splits.val, digit_splits.test
    for name in TASKS:
        meta = task(name).meta
        if (meta.kind, meta.scope, meta.head) != ("labels", "closed", ""):
            continue  # has a test of its own
        for bad, sentence in (((broken(train), val), "1 of 900 train"), ((train, broken(val)), "1 of 400 val")):
            with pytest.raises(CellError, match=sentence):
                task(name).fit(*bad, seed=0)
        small = [rows_of(part, np.isin(part.labels, (0, 1, 2))) for part in (train, val)]
        fitted = task(name).fit(small[0], small[1], seed=0)
        inside = rows_of(test, np.isin(test.labels, (0, 1, 2)))
        with pytest.raises(CellError, match=f"1 of {len(inside)} test samples"):
            task(name).judge(fitted, broken(inside))
        with pytest.raises(UserError, match=r"3, 4, 5, 6, 7\."):
            task(name).judge(fitted, test)
        with pytest.raises(UserError, match=r"test split is empty|queries .test. have no images"):
            task(name).judge(fitted, with_labels(rows_of(test, slice(0, 0)), np.empty(0)))

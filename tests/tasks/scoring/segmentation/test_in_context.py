from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scenes import scenes

from tasks.base import Splits
from tasks.scoring.segmentation import in_context
from tasks.scoring.segmentation.cells import at_cells, draw
from tasks.scoring.segmentation.in_context import remember, votes


@pytest.fixture(scope="module")
def splits() -> Splits:
    return scenes()


def test_votes_are_those_of_every_pair_compared(splits: Splits) -> None:
    """All axes are kept: 16 channels have no more."""
    fitted = remember(splits.train, 0)
    bank = draw(splits.train, in_context.EACH, in_context.MOST, 0)
    mean, deviation = bank.features.mean(axis=0, dtype=np.float64), bank.features.std(axis=0, dtype=np.float64)

    def unit(rows: object) -> object:
        standard = (np.asarray(rows) - mean) / deviation
        return standard / np.linalg.norm(standard, axis=1, keepdims=True)

    outputs = splits.test.at(np.arange(3))
    found = list(votes(fitted, outputs))
    for picture, planes in enumerate(found):
        cells = np.arange(6 * 8)
        channels = [at_cells(outputs[name][picture], cells, (6, 8)) for name in ("map_s8", "map_s16")]
        cosines = np.asarray(unit(np.concatenate(channels, axis=1))) @ np.asarray(unit(bank.features)).T
        near = np.argsort(-cosines, axis=1)[:, : in_context.K]
        weights = np.exp(np.take_along_axis(cosines, near, axis=1) / in_context.TEMPERATURE)
        wanted = (weights[..., None] * bank.shares[near]).sum(axis=1) / weights.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(planes.reshape(4, -1).T, wanted, atol=1e-3)
        np.testing.assert_allclose(planes.sum(axis=0), 1, atol=1e-5)
    assert len(found) == 3


def test_few_axes_and_few_cells(splits: Splits, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_context, "AXES", 5)
    monkeypatch.setattr(in_context, "MOST", 24)
    fitted = remember(splits.train, 0)
    assert fitted.arrays["bank"].shape == (24, 5)
    assert fitted.chosen == {"k": 24, "cells": 24}
    np.testing.assert_allclose(np.linalg.norm(fitted.arrays["bank"], axis=1), 1, atol=1e-5)
    assert next(iter(votes(fitted, splits.test.at(np.array([0]))))).shape == (4, 6, 8)


def test_the_seed_draws_the_bank(splits: Splits) -> None:
    one, again, other = (remember(splits.train, seed).arrays["bank"] for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


def test_where_a_picture_stands_changes_nothing(splits: Splits) -> None:
    fitted = remember(splits.train, 0)
    whole = list(votes(fitted, splits.test.at(np.arange(len(splits.test)))))
    [alone] = votes(fitted, splits.test.at(np.array([4])))
    np.testing.assert_allclose(alone, whole[4], atol=1e-6)
    assert replace(fitted, seed=1).arrays is fitted.arrays

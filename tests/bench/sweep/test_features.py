from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import MeanColour, PillowPath, dataset, photograph, plan

import bench.sweep.features
from bench.sweep.features import extract, feature_key, stream
from engines.base import Outputs, Pixels
from engines.processor import cores
from export.errors import CellError
from export.store import Store
from tasks.data.base import DataSet


def expected(data: DataSet) -> Any:
    path = PillowPath()
    return np.stack([path(data.read(s.id)).mean(axis=(0, 1)) / 255 for s in data.samples]).astype(np.float32)


@pytest.mark.parametrize("count", [1, 4, 30, 33])
def test_features_come_in_the_data_sets_order(count: int) -> None:
    data = dataset(count)
    session = MeanColour(plan())
    seen: list[int] = []
    found = stream(session, PillowPath(), data, data.samples, "features", seen.append)
    np.testing.assert_allclose(found, expected(data), atol=1e-6)
    assert set(session.seen) == {4}, "every batch has the size that was tuned, the padded last one too"
    assert sum(seen) == count


def test_no_more_than_one_batch_a_core_is_ever_decoded_ahead() -> None:
    data = dataset(200)
    decoded, finished = [0], [0]
    worst = [0]

    class Counting(PillowPath):
        def __call__(self, encoded: bytes) -> Pixels:
            decoded[0] += 1
            worst[0] = max(worst[0], decoded[0] - finished[0])
            return super().__call__(encoded)

    class Slow(MeanColour):
        def _run(self, pixels: Pixels) -> Outputs:
            import time

            time.sleep(0.005)
            finished[0] += len(pixels)
            return super()._run(pixels)

    stream(Slow(plan()), Counting(), data, data.samples, "features")
    assert decoded[0] == 200
    assert worst[0] <= cores() * 4


def test_a_killed_extraction_goes_on_at_its_shard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench.sweep.features, "SHARD", 8)
    data, store, path = dataset(30), Store(tmp_path, lambda line: None), PillowPath()
    whole = feature_key("plan-key", path.identity(), data, "features")

    class Dies(MeanColour):
        def _run(self, pixels: Pixels) -> Outputs:
            if len(self.seen) == 5:
                raise KeyboardInterrupt
            return super()._run(pixels)

    with pytest.raises(KeyboardInterrupt):
        extract(lambda: Dies(plan()), whole, path, data, "features", store)
    session = MeanColour(plan())
    features, how = extract(lambda: session, whole, path, data, "features", store)
    np.testing.assert_allclose(features, expected(data), atol=1e-6)
    assert len(session.seen) == 4, "two shards of two batches were finished before the kill"
    assert how["images"] == 30


def test_finished_features_open_no_session(tmp_path: Path) -> None:
    data, store, path = dataset(9), Store(tmp_path, lambda line: None), PillowPath()
    first, _ = extract(lambda: MeanColour(plan()), "key", path, data, "features", store)

    def never() -> MeanColour:
        raise AssertionError("a session was opened for features that are in the store")

    again, _ = extract(never, "key", path, data, "features", store)
    np.testing.assert_array_equal(first, again)


def test_nan_features_are_a_failed_cell(tmp_path: Path) -> None:
    class Broken(MeanColour):
        def _run(self, pixels: Pixels) -> Outputs:
            out = super()._run(pixels)
            out["features"][1] = np.nan
            return out

    store = Store(tmp_path, lambda line: None)
    with pytest.raises(CellError, match="NaN or Inf"):
        extract(lambda: Broken(plan()), "key", PillowPath(), dataset(8), "features", store)
    assert not store.try_load("features", "key")


def test_an_image_that_broke_after_indexing_is_named() -> None:
    data = dataset(8)
    bad = data.samples[3].id

    def read(i: str) -> bytes:
        return photograph(0)[:200] if i == bad else photograph(1)

    with pytest.raises(CellError, match=bad):
        stream(MeanColour(plan()), PillowPath(), replace(data, read=read), data.samples, "features")


def test_any_setting_moves_the_key() -> None:
    data = dataset(8)
    base = feature_key("p", {"path": "a"}, data, "features")
    others = {
        feature_key("q", {"path": "a"}, data, "features"),
        feature_key("p", {"path": "b"}, data, "features"),
        feature_key("p", {"path": "a"}, dataset(9), "features"),
        feature_key("p", {"path": "a"}, data, "tokens"),
    }
    assert base not in others
    assert len(others) == 4

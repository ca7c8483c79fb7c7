from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import MeanColour, PillowPath, dataset, photograph, plan

import bench.sweep.features
from bench.sweep.features import KIND, extract, stream
from engines.base import Outputs, Pixels
from engines.processor import cores
from export.errors import CellError
from export.store import Store
from tasks.data.base import DataSet

BOTH = {"features": "key", "tokens": "other key"}


def expected(data: DataSet) -> Any:
    path = PillowPath()
    return np.stack([path(data.read(s.id)).mean(axis=(0, 1)) / 255 for s in data.samples]).astype(np.float32)


def quiet(folder: Path) -> Store:
    return Store(folder, lambda line: None)


@pytest.mark.parametrize("count", [1, 4, 30, 33])
def test_features_come_in_the_data_sets_order(count: int) -> None:
    data = dataset(count)
    session = MeanColour(plan())
    seen: list[int] = []
    found = stream(session, PillowPath(), data, data.samples, ["features"], seen.append)["features"]
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
            time.sleep(0.005)
            finished[0] += len(pixels)
            return super()._run(pixels)

    stream(Slow(plan()), Counting(), data, data.samples, ["features"])
    assert decoded[0] == 200
    assert worst[0] <= cores() * 4


def test_a_killed_extraction_goes_on_at_its_shard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench.sweep.features, "SHARD", 8)
    data, store, path = dataset(30), quiet(tmp_path), PillowPath()

    class Dies(MeanColour):
        def _run(self, pixels: Pixels) -> Outputs:
            if len(self.seen) == 5:
                raise KeyboardInterrupt
            return super()._run(pixels)

    with pytest.raises(KeyboardInterrupt):
        extract(lambda: Dies(plan()), {"features": "key"}, path, data, store)
    session = MeanColour(plan())
    found, how = extract(lambda: session, {"features": "key"}, path, data, store)
    np.testing.assert_allclose(found["features"][:], expected(data), atol=1e-6)
    assert len(session.seen) == 4, "two shards of two batches were finished before the kill"
    assert how.images == 30
    assert how.images_per_s > 0


def test_finished_features_open_no_session(tmp_path: Path) -> None:
    data, store, path = dataset(9), quiet(tmp_path), PillowPath()
    first, _ = extract(lambda: MeanColour(plan()), {"features": "key"}, path, data, store)

    def never() -> MeanColour:
        raise AssertionError("a session was opened for features that are in the store")

    again, _ = extract(never, {"features": "key"}, path, data, store)
    np.testing.assert_array_equal(first["features"][:], again["features"][:])


def test_several_outputs_come_from_the_same_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench.sweep.features, "SHARD", 8)
    data, store, path = dataset(20), quiet(tmp_path), PillowPath()
    session = MeanColour(plan(tokens=True))
    found, _ = extract(lambda: session, BOTH, path, data, store)
    assert len(session.seen) == 5, "each image was run once"
    assert found["tokens"].shape == (20, 2, 3)
    np.testing.assert_allclose(found["features"][:], expected(data), atol=1e-6)
    np.testing.assert_allclose(found["tokens"][:].mean(axis=1), expected(data), atol=1e-6)


def test_only_the_output_that_is_missing_is_extracted(tmp_path: Path) -> None:
    data, store, path = dataset(8), quiet(tmp_path), PillowPath()
    extract(lambda: MeanColour(plan(tokens=True)), {"features": "key"}, path, data, store)
    before = {p.name for p in (tmp_path / KIND).iterdir()}
    session = MeanColour(plan(tokens=True))
    found, _ = extract(lambda: session, BOTH, path, data, store)
    assert len(session.seen) == 2
    assert set(found) == {"features", "tokens"}
    assert before < {p.name for p in (tmp_path / KIND).iterdir()}


def test_an_output_that_the_network_does_not_have_is_named(tmp_path: Path) -> None:
    with pytest.raises(CellError, match=r"no output 'tokens'\.\nIt has features"):
        extract(lambda: MeanColour(plan()), BOTH, PillowPath(), dataset(8), quiet(tmp_path))


def test_nan_features_are_a_failed_cell(tmp_path: Path) -> None:
    class Broken(MeanColour):
        def _run(self, pixels: Pixels) -> Outputs:
            out = super()._run(pixels)
            out["features"][1] = np.nan
            return out

    with pytest.raises(CellError, match="The features of 2 of 8 images hold NaN or Inf"):
        extract(lambda: Broken(plan()), {"features": "key"}, PillowPath(), dataset(8), quiet(tmp_path))
    assert not list((tmp_path / KIND).glob("*/*"))


def test_an_image_that_broke_after_indexing_is_named() -> None:
    data = dataset(8)
    bad = data.samples[3].id

    def read(i: str) -> bytes:
        return photograph(0)[:200] if i == bad else photograph(1)

    with pytest.raises(CellError, match=bad):
        stream(MeanColour(plan()), PillowPath(), replace(data, read=read), data.samples, ["features"])

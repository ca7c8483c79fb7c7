from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fakes import MeanColour, PillowPath, dataset, plan

from bench.sweep import maps
from bench.sweep.maps import Maps, make_room
from export.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path, lambda line: None)


def made(store: Store, session: MeanColour, key: str = "cell") -> Maps:
    return Maps(key, {"tokens": (2, 3)}, PillowPath(), store, lambda: session)


def shards(store: Store) -> set[str]:
    return {entry.name for entry in (store.root / maps.KIND).iterdir() if entry.is_dir()}


def test_maps_that_are_kept_are_computed_once_and_make_room_for_the_next_cell(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maps, "SHARD", 8)
    data, session = dataset(30), MeanColour(plan(tokens=True))
    one = made(store, session)
    own = set(one.shards(data, data.samples))
    kept = one.kept(data, data.samples, 1 << 20, own, lambda done: None)["tokens"]
    assert shards(store) == own
    runs = len(session.seen)
    again = one.kept(data, data.samples, 1, own, lambda done: None)["tokens"]
    assert len(session.seen) == runs, "what is there needs no room"
    np.testing.assert_array_equal(again[:], kept[:])
    np.testing.assert_allclose(kept[:], one.computed(data, data.samples)["tokens"][:], atol=1e-3)

    other = made(store, session, "another cell")
    theirs = set(other.shards(data, data.samples))
    other.kept(data, data.samples, 1, theirs, lambda done: None)
    assert shards(store) == theirs
    assert len(kept[np.array([3, 20])]) == 2, "what is open can be read on"


def test_room_is_made_by_the_oldest_alone_and_only_as_far_as_it_is_needed(store: Store) -> None:
    def build(folder: Path) -> dict[str, int]:
        return {"bytes": (folder / "x").write_bytes(bytes(1000))}

    for name in ("a", "b", "c"):
        store.obtain(maps.KIND, name, build)
    size = sum(file.stat().st_size for file in (store.root / maps.KIND / "a").iterdir())
    make_room(store, 0, 3 * size)
    assert shards(store) == {"a", "b", "c"}
    make_room(store, size, 3 * size, spared=("a",))
    assert shards(store) == {"a", "c"}


def test_rows_on_demand_come_from_one_run_for_all_outputs(store: Store) -> None:
    data, session = dataset(12), MeanColour(plan(tokens=True))
    one = Maps("cell", {"features": (3,), "tokens": (2, 3)}, PillowPath(), store, lambda: session)
    rows = one.computed(data, data.samples)
    some = np.arange(4, 8)
    found = {name: part[some] for name, part in rows.items()}
    assert len(session.seen) == 1
    np.testing.assert_allclose(found["tokens"].mean(axis=1), found["features"], atol=1e-6)
    assert (one.images, rows["tokens"].shape) == (4, (12, 2, 3))

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.sweep.rows import ShardedRows

SIZES = st.lists(st.integers(1, 5), min_size=1, max_size=4)


@given(SIZES, st.data())
def test_reads_like_the_one_array_that_it_is(sizes: list[int], data: st.DataObject) -> None:
    whole = np.random.default_rng(0).random((sum(sizes), 2, 3), np.float32)
    rows = ShardedRows(np.split(whole, np.cumsum(sizes)[:-1]))
    assert rows.shape == whole.shape
    assert len(rows) == len(whole)
    picked = np.array(data.draw(st.lists(st.integers(0, len(whole) - 1), max_size=6)), np.int64)
    np.testing.assert_array_equal(rows[picked], whole[picked])
    np.testing.assert_array_equal(rows.pick(picked)[:], whole[picked])
    np.testing.assert_array_equal(rows[1:3], whole[1:3])
    np.testing.assert_array_equal(np.asarray(rows), whole)
    both = ShardedRows.chained([rows, rows.pick(picked)])
    np.testing.assert_array_equal(both[:], np.concatenate([whole, whole[picked]]))


def test_picking_reads_nothing(tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", np.zeros((4, 2), np.float32))
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    rows = ShardedRows([mapped, mapped]).pick(np.array([7, 0]))
    assert all(isinstance(shard, np.memmap) for shard in rows._shards)
    with pytest.raises(IndexError):
        rows.pick(np.array([2]))

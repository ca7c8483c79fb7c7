from __future__ import annotations

from dataclasses import replace

import numpy as np
from fakes import dataset

from bench.sweep.rows import ShardedRows
from bench.sweep.view import picked, targets
from tasks.base import Batchwise, Splits
from tasks.data.altered.composed import composed, taken
from tasks.data.base import SPLITS, DataSet, Sample


def numbered(data: DataSet, first: int = 0) -> ShardedRows:
    """Features that say which image they are of, in shards of four."""
    rows = first + np.arange(len(data.samples), dtype=np.float32)[:, None]
    return ShardedRows(np.split(rows, range(4, len(rows), 4)))


def split(data: DataSet, rows: list[ShardedRows]) -> Splits:
    """The three splits, as a cell sees them."""
    parts = [Batchwise({"features": picked(data, name, rows)[:]}, targets(data, name)) for name in SPLITS]
    return Splits(*parts)


def test_rows_go_with_their_labels_and_splits() -> None:
    data = dataset(30)
    splits = split(data, [numbered(data)])
    for name in SPLITS:
        part = getattr(splits, name)
        samples = [data.samples[int(i)] for i in part.features[:, 0]]
        assert samples == data.split(name)
        assert part.labels.tolist() == [s.label for s in samples]
        assert part.classes == data.classes


def test_junk_becomes_rows_of_test_and_train() -> None:
    data = dataset(30)
    pairs = (
        (data.split("test")[2].id, data.split("train")[1].id),
        (data.split("test")[0].id, data.split("train")[4].id),
    )
    splits = split(replace(data, junk=pairs), [numbered(data)])
    assert splits.train.labelled.junk.shape == (0, 2)
    for (query, image), (row, column) in zip(pairs, splits.test.labelled.junk, strict=True):
        assert data.samples[int(splits.test.features[row, 0])].id == query
        assert data.samples[int(splits.train.features[column, 0])].id == image


def test_a_set_that_is_put_together_takes_its_rows_from_its_parts() -> None:
    fitted, seen = dataset(30), replace(dataset(12), name="seen", digest="seen")
    own = [taken(0, s, s.label) for s in fitted.samples if s.split != "test"]
    others = [taken(1, s, s.label, "test") for s in seen.samples]
    whole = composed("fitted and seen", [*own, *others], fitted.classes, (fitted, seen), "given")
    splits = split(whole, [numbered(fitted), numbered(seen, first=100)])
    assert splits.train.features[:, 0].tolist() == [i for i, s in enumerate(fitted.samples) if s.split == "train"]
    assert sorted(splits.test.features[:, 0]) == [100.0 + i for i in range(12)]
    at = {s.id: 100 + i for i, s in enumerate(seen.samples)}
    ids = [s.origin[1] for s in whole.split("test") if s.origin]
    assert splits.test.features[:, 0].tolist() == [at[i] for i in ids]


def test_names_with_colons_and_digits_stay_whole() -> None:
    """An id is never taken apart: where an image comes from stands beside it."""
    odd = DataSet(
        "a→b|c@d",
        [Sample(f"1:{i}:0:x.jpg", 0, "train") for i in range(2)] + [Sample("0:0:y.jpg", 0, "test")],
        ("1:→|@",),
        "odd",
        lambda name: name.encode(),
    )
    whole = composed("odd", [taken(0, s, s.label) for s in odd.samples], odd.classes, (odd,), "given")
    assert [whole.read(s.id) for s in whole.samples] == [s.id.encode() for s in odd.samples]
    assert split(whole, [numbered(odd)]).test.features[:, 0].tolist() == [2.0]


def test_equal_train_and_val_learn_alike_whatever_is_tested() -> None:
    fitted, seen = dataset(30), replace(dataset(12), name="seen", digest="seen")
    own = [taken(0, s, s.label) for s in fitted.samples]
    same = composed("x", [*own, taken(1, seen.samples[0], 0, "test")], fitted.classes, (fitted, seen), "given")
    fewer = composed("x", own[:-1], fitted.classes, (fitted,), "given")
    other = composed("x", [replace(s, label=0) for s in own], fitted.classes, (fitted,), "given")
    assert same.learning == fitted.learning
    assert len({fitted.learning, fewer.learning, other.learning, seen.learning}) == 4

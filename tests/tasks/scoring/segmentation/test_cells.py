from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
import torch
from scenes import CLASSES, LETTERBOXED, SQUASHED, mask, remasked, scenes, some, split
from torch.nn.functional import interpolate

from export.errors import CellError, UserError
from export.spec import PreprocessSpec
from tasks.base import Batchwise
from tasks.data.targets import VOID
from tasks.scoring import reading
from tasks.scoring.reading import read
from tasks.scoring.segmentation.cells import at_cells, draw, require_val, shapes_of, slices_of
from tasks.scoring.segmentation.geometry import shares_of


@pytest.fixture(scope="module")
def train() -> Batchwise:
    return scenes().train


def rows_of(part: Batchwise, seed: int = 0, each: int = 9) -> npt.NDArray[np.float32]:
    bank = draw(part, each, 10**6, seed)
    both = np.concatenate([bank.features, bank.shares], axis=1)
    return both[np.lexsort(both.T)]


@pytest.mark.parametrize("tap", [(3, 5), (6, 8), (1, 1), (23, 12)])
def test_a_tap_at_cells_is_that_of_the_enlarged_map(tap: tuple[int, int]) -> None:
    values = np.random.default_rng(0).normal(size=(7, *tap)).astype(np.float32)
    grid, where = (45, 23), np.random.default_rng(1).integers(45 * 23, size=50)
    wanted = interpolate(torch.from_numpy(values)[None], grid, mode="bilinear", align_corners=False)[0]
    found = at_cells(values, where, grid)
    np.testing.assert_allclose(found, wanted.flatten(1).numpy()[:, where].T, atol=1e-5)


def test_the_finest_tap_is_taken_as_it_is() -> None:
    values = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    np.testing.assert_array_equal(at_cells(values, np.array([11, 0]), (3, 4)), [[11, 23], [0, 12]])


def test_cells_depend_on_the_seed_and_the_picture_and_not_on_its_place(train: Batchwise) -> None:
    order = np.random.default_rng(0).permutation(len(train)).tolist()
    np.testing.assert_array_equal(rows_of(train), rows_of(some(train, order)))
    assert len(rows_of(train)) == 9 * len(train)
    assert not np.array_equal(rows_of(train), rows_of(train, seed=1))


@pytest.mark.parametrize("spec", [SQUASHED, LETTERBOXED])
def test_every_cell_with_a_label_is_drawn_once_where_all_are_asked(spec: PreprocessSpec) -> None:
    part = scenes(spec).val
    shapes = shapes_of(part.outputs)
    grid = next(iter(shapes.values()))[1:]
    labels = np.concatenate([shares_of(part.masks[row], part.frame(row), grid, 4) for row in range(len(part))])
    used = labels.sum(axis=1) > 0
    assert 0.3 < used.mean() < 1
    bank = draw(part, 10**4, 10**6, 0)
    np.testing.assert_allclose(bank.shares.sum(axis=1), 1, atol=1e-6)
    assert len(bank.shares) == used.sum()
    np.testing.assert_allclose(bank.shares.sum(axis=0), labels.sum(axis=0), rtol=1e-5)
    finest = np.asarray(part.outputs["map_s8"]).transpose(0, 2, 3, 1).reshape(len(used), -1)[used]
    found = bank.features[:, slices_of(shapes)["map_s8"]]
    np.testing.assert_array_equal(found[np.lexsort(found.T)], finest[np.lexsort(finest.T)])


def test_many_pictures_give_fewer_cells_each(train: Batchwise) -> None:
    assert len(draw(train, 256, 100, 0).features) == 100 // len(train) * len(train)
    assert len(draw(train, 256, 1, 0).features) == len(train)


class Counted:
    """Rows that say how often each was read, and in how large parts."""

    def __init__(self, values: npt.NDArray[np.float32]) -> None:
        self.values, self.reads, self.largest = values, np.zeros(len(values), int), 0
        self.shape = values.shape

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: slice | npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        self.reads[index] += 1
        self.largest = max(self.largest, len(self.values[index]))
        return self.values[index]


def test_maps_are_read_once_and_in_parts(train: Batchwise, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "BLOCK", 4 * 4 * (6 * 48 + 10 * 12))
    counted = {name: Counted(np.asarray(values)) for name, values in train.outputs.items()}
    bank = draw(replace(train, outputs=counted), 9, 10**6, 0)
    np.testing.assert_array_equal(bank.features, draw(train, 9, 10**6, 0).features)
    for rows in counted.values():
        assert set(rows.reads) == {1}
        assert rows.largest == 4


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_broken_maps_are_named(train: Batchwise, bad: float) -> None:
    maps = np.array(train.outputs["map_s16"])
    maps[5, 1, 0, 2] = bad
    broken = replace(train, outputs={**train.outputs, "map_s16": maps})
    with pytest.raises(CellError, match="The map_s16 of row 5 of the train split holds NaN or Inf"):
        draw(broken, 9, 100, 0)
    with pytest.raises(CellError, match="row 5 of the test split"):
        list(read(broken, "test", "judging"))


def test_splits_that_say_nothing_are_refused(train: Batchwise) -> None:
    none, void = some(train, []), remasked(some(train, [0]), [np.full((60, 80), VOID, np.int16)])
    with pytest.raises(UserError, match="The train split is empty"):
        draw(none, 9, 100, 0)
    with pytest.raises(UserError, match="The val split is empty"):
        require_val(none)
    with pytest.raises(UserError, match="val split have no labelled pixel"):
        require_val(void)
    with pytest.raises(UserError, match="fewer than two classes"):
        draw(void, 9, 100, 0)
    with pytest.raises(UserError, match="fewer than two classes"):
        draw(remasked(some(train, [0]), [np.zeros((60, 80), np.int16)]), 9, 100, 0)


def test_pictures_of_one_row() -> None:
    masks = [mask(np.random.default_rng(i), 1, 50) for i in range(3)]
    assert len(draw(split(masks, LETTERBOXED, classes=CLASSES), 9, 100, 0).features)

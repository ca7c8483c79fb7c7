"""Detection from maps to a score, and from bad data to words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import drawn_objects
import numpy as np
import numpy.typing as npt
import onnx
import pytest
import torch

from export.errors import CellError, UserError
from tasks.base import Batchwise, Fitted, Splits
from tasks.detection import Detection
from tasks.detection_probe import DetectionProbe
from tasks.scoring.detection import training

NOTHING = drawn_objects.picture_of(np.empty((0, 4)), [])


class Memory:
    """A journal in memory; the fit is killed when it saves more often than that."""

    def __init__(self) -> None:
        self.saves = 0
        self.kept: dict[str, dict[str, npt.NDArray[Any]]] = {}

    def load(self, name: str, /) -> dict[str, npt.NDArray[Any]] | None:
        return self.kept.get(name)

    def save(self, name: str, arrays: Mapping[str, npt.NDArray[Any]], /) -> None:
        if self.saves == 0:
            raise KeyboardInterrupt
        self.saves -= 1
        self.kept[name] = {key: array.copy() for key, array in arrays.items()}


@pytest.fixture(scope="module")
def splits() -> Splits:
    return drawn_objects.splits()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two epochs instead of twelve."""
    monkeypatch.setattr(training, "TRIAL_EPOCHS", 1)
    monkeypatch.setattr(training, "EPOCHS", 2)


@pytest.fixture(scope="module")
def fitted(splits: Splits) -> Fitted:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "TRIAL_EPOCHS", 1)
        patch.setattr(training, "EPOCHS", 5)
        return Detection().fit(splits.train, splits.val, 0)


def same(one: Fitted, other: Fitted) -> bool:
    return (
        one.chosen == other.chosen
        and list(one.sweep) == list(other.sweep)
        and set(one.arrays) == set(other.arrays)
        and all(np.array_equal(array, other.arrays[name]) for name, array in one.arrays.items())
    )


def test_objects_are_found_by_the_deployed_head(splits: Splits, fitted: Fitted) -> None:
    task = Detection()
    score = task.judge(fitted, drawn_objects.emitted(task, fitted, splits.test))
    values = {metric.name: metric for metric in score.metrics}
    assert next(iter(values)) == task.meta.main_metric == "AP"
    assert (values["AP50"].value or 0) > 40
    assert (values["AP"].stderr or 0) > 0
    assert score.per_sample.mean() == pytest.approx(score.main.value)
    assert len(score.per_sample) == len(splits.test)
    assert [row["class"] for row in score.by_class] == ["disc", "square"]
    assert np.mean([row["AP"] for row in score.by_class]) == pytest.approx(score.main.value)
    head = task.head(fitted)
    learned = {"lateral_bias"} | {name[len("weight_") :] for name in fitted.arrays if name.startswith("weight_")}
    weights = [w for w in onnx.load_from_string(head.model).graph.initializer if w.name in learned]
    assert head.parameters == sum(int(np.prod(w.dims)) for w in weights) == values["head_parameters"].value
    assert head.compared == ("scores",)


class Asked:
    """Rows that count how often they are asked for: each time, a network may run."""

    def __init__(self, rows: Any) -> None:
        self.rows, self.times = np.asarray(rows), 0

    @property
    def shape(self) -> tuple[int, ...]:
        return self.rows.shape

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any, /) -> Any:
        self.times += 1
        return self.rows[index]


def test_what_a_plan_emits_is_read_once_for_all_pictures(splits: Splits, fitted: Fitted) -> None:
    task, part = Detection(), drawn_objects.emitted(Detection(), fitted, splits.test)
    outputs = {name: Asked(rows) for name, rows in part.outputs.items()}
    assert task.judge(fitted, replace(part, outputs=outputs)).metrics == task.judge(fitted, part).metrics
    assert {rows.times for rows in outputs.values()} == {1}


def test_the_best_on_val_is_taken(fitted: Fitted) -> None:
    trials, heads = fitted.sweep[:2], fitted.sweep[2:]
    assert [(row["rate"], row["seed"], row["epochs"]) for row in trials] == [(2e-3, 0, 1), (5e-3, 0, 1)]
    rate = max(trials, key=lambda row: row["val_AP"])["rate"]
    assert [(row["rate"], row["seed"], row["epochs"]) for row in heads] == [(rate, 0, 5), (rate, 1, 5)]
    assert fitted.chosen["val_AP_of_seeds"] == [row["val_AP"] for row in heads]
    assert fitted.chosen["val_AP"] == max(fitted.chosen["val_AP_of_seeds"])


@pytest.mark.usefixtures("quick")
def test_the_same_seed_gives_the_same_head(splits: Splits, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "SEEDS", 1)
    before = torch.get_num_threads()
    one = Detection().fit(splits.train, splits.val, 0)
    torch.set_num_threads(2)
    try:
        torch.manual_seed(99)  # nothing is drawn from there
        assert same(Detection().fit(splits.train, splits.val, 0), one)
        assert torch.get_num_threads() == 2
        assert not same(Detection().fit(splits.train, splits.val, 1), one)
    finally:
        torch.set_num_threads(before)


@pytest.mark.usefixtures("quick")
def test_a_fit_that_was_killed_ends_as_if_it_had_not_been(splits: Splits) -> None:
    whole = Detection().fit(splits.train, splits.val, 0)
    journal = Memory()
    for saves in (1, 2, 1, 1):  # within a training, and between two
        journal.saves = saves
        with pytest.raises(KeyboardInterrupt):
            Detection().resume(splits.train, splits.val, 0, journal)
    journal.saves = 6 - 5  # no epoch is trained twice
    assert same(Detection().resume(splits.train, splits.val, 0, journal), whole)
    assert journal.saves == 0
    assert same(Detection().resume(splits.train, splits.val, 0, journal), whole)


@pytest.mark.usefixtures("quick")
def test_the_probe_sees_one_cell_at_a_time(splits: Splits) -> None:
    fitted = DetectionProbe().fit(splits.train, splits.val, 0)
    assert fitted.arrays["weight_what_weight"].shape == (64, 64, 1, 1)
    assert DetectionProbe.meta.settings != Detection.meta.settings


def test_a_class_that_train_lacks_has_an_ap_of_zero(splits: Splits, fitted: Fitted) -> None:
    classes = ("disc", "square", "star")
    pictures = [*splits.test.objects.pictures[:-1], drawn_objects.picture_of(np.array([[5.0, 5, 45, 45]]), [2])]
    test = drawn_objects.split_of(pictures, 2, classes)
    task = Detection()
    score = task.judge(fitted, drawn_objects.emitted(task, fitted, test))
    assert score.by_class[2] == {"class": "star", "AP": 0, "AP50": 0, "n": 1, "note": "no object in train"}
    assert "star" in score.main.note
    assert score.main.value == pytest.approx(np.mean([row["AP"] for row in score.by_class]))


def test_a_class_that_test_lacks_does_not_count(splits: Splits, fitted: Fitted) -> None:
    discs = [
        drawn_objects.picture_of(one.boxes[one.labels == 0], [0] * int((one.labels == 0).sum()))
        for one in splits.test.objects.pictures
    ]
    task = Detection()
    score = task.judge(fitted, drawn_objects.emitted(task, fitted, drawn_objects.split_of(discs, 2)))
    assert score.by_class[1]["AP"] is None
    assert score.main.value == pytest.approx(score.by_class[0]["AP"])
    large = next(metric for metric in score.metrics if metric.name == "AP_large")
    assert (large.value, large.note) == (None, "test has no objects above 96² pixels")


def few(pictures: list[Any], classes: tuple[str, ...] = drawn_objects.CLASSES) -> Batchwise:
    return drawn_objects.split_of(pictures, 0, classes)


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_split_without_objects_is_refused(splits: Splits, split: str) -> None:
    parts = {"train": splits.train, "val": splits.val, split: few([NOTHING, NOTHING])}
    with pytest.raises(UserError, match=f"The {split} split has no object"):
        Detection().fit(parts["train"], parts["val"], 0)


def test_test_without_objects_is_refused(fitted: Fitted) -> None:
    with pytest.raises(UserError, match="The test split has no object"):
        Detection().judge(fitted, few([NOTHING]))


def test_crowds_alone_are_no_objects(splits: Splits) -> None:
    crowds = [replace(one, crowd=np.ones(len(one), bool)) for one in splits.train.objects.pictures]
    with pytest.raises(UserError, match="but those of crowds"):
        Detection().fit(few(crowds), splits.val, 0)


def test_an_empty_split_is_refused(splits: Splits) -> None:
    with pytest.raises(UserError, match="val split is empty"):
        Detection().fit(splits.train, few([]), 0)


def test_maps_that_are_no_numbers_are_refused(splits: Splits) -> None:
    maps = {name: np.array(rows) for name, rows in splits.train.outputs.items()}
    maps["map_s16"][3, 0, 0, 0] = np.nan
    with pytest.raises(CellError, match="of row 3 of the train split holds NaN"):
        Detection().fit(replace(splits.train, outputs=maps), splits.val, 0)


def test_one_class_and_pictures_without_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "RATES", (5e-3,))
    monkeypatch.setattr(training, "SEEDS", 1)
    monkeypatch.setattr(training, "EPOCHS", 2)
    discs = [drawn_objects.picture_of(np.array([[x, 10.0, x + 40, 60]]), [0]) for x in range(0, 80, 10)]
    part = few([*discs, NOTHING], ("disc",))
    task = Detection()
    fitted = task.fit(part, part, 0)
    score = task.judge(fitted, drawn_objects.emitted(task, fitted, part))
    assert len(score.by_class) == 1
    assert score.main.value is not None
    assert 0 <= score.main.value <= 100


def test_hundreds_of_objects_smaller_than_a_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most share their cell with others. There are 64 cells, and one class."""
    monkeypatch.setattr(training, "RATES", (5e-3,))
    monkeypatch.setattr(training, "SEEDS", 1)
    monkeypatch.setattr(training, "EPOCHS", 1)
    generator = np.random.default_rng(0)
    low = generator.integers(0, 90, (250, 2)).astype(np.float64)
    dense = drawn_objects.picture_of(np.concatenate([low, low + 2], 1), [0] * 250)
    part = few([dense, NOTHING])
    task = Detection()
    fitted = task.fit(part, part, 0)
    found = drawn_objects.emitted(task, fitted, part)
    assert found.outputs["scores"].shape == (2, 64)
    score = task.judge(fitted, found)
    assert next(m for m in score.metrics if m.name == "AR").note == "at most 64 detections of a class in an image"


def test_a_picture_is_drawn(splits: Splits, fitted: Fitted) -> None:
    task = Detection()
    photograph = np.full((*drawn_objects.SIZE, 3), 90, np.uint8)
    found = task.picture(fitted, drawn_objects.emitted(task, fitted, splits.test), 0, photograph)
    assert found.shape == photograph.shape
    assert (found != photograph).any()
    assert (photograph == 90).all()

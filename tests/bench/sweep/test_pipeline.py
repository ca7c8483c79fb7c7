"""From what was asked to records, without a network: drawn photographs, tiny networks, real engines."""

from __future__ import annotations

import itertools
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from coloured import draw
from fakes import photograph
from nets import saved

from bench.measure.machine import environment
from bench.records.record import Record, ScoreRecord, TimingRecord, read
from bench.records.thumbnails import place
from bench.records.thumbnails import read as read_thumbnails
from bench.sweep.assembly import assemble
from bench.sweep.desk import Desk
from bench.sweep.looks import Looks
from bench.sweep.pipeline import Tally, run
from bench.sweep.spec import SweepSpec
from engines.null import NullEngine
from export.store import Store
from tasks.base import Batchwise, Fitted, Score, Task, TaskMeta
from tasks.catalog import TASKS
from tasks.knn import Knn
from tasks.scoring.metrics import accuracy

pytestmark = pytest.mark.usefixtures("no_network")

TINY = "nets:small"
VIT = "test_vit.r160_in1k"


class NearestMean(Task):
    """Class of the nearest mean of whatever output is named."""

    meta = TaskMeta("nearest_mean", 1, "accuracy", "Nearest mean.")

    def rows(self, batch: Batchwise) -> Any:
        return batch.outputs[self.meta.outputs[0]][:]

    def fit(self, train: Batchwise, val: Batchwise, seed: int) -> Fitted:
        rows = self.rows(train)
        means = np.stack([rows[train.labels == label].mean(axis=0) for label in range(len(train.classes))])
        return Fitted(train, seed, {"means": means})

    def judge(self, fitted: Fitted, test: Batchwise) -> Score:
        distances = ((self.rows(test)[:, None] - fitted.arrays["means"]) ** 2).sum(axis=-1)
        return Score(*accuracy(distances.argmin(axis=1), test.labels))


class OfTokens(NearestMean):
    """The same on the mean of the tokens, read in parts as they lie on the disk."""

    meta = TaskMeta("of_tokens", 1, "accuracy", "Nearest mean of tokens.", outputs=("tokens",))

    def rows(self, batch: Batchwise) -> Any:
        tokens = batch.outputs["tokens"]
        return np.stack([tokens[i : i + 1].mean(axis=(0, 1)) for i in range(len(tokens))])


class Buggy(NearestMean):
    """Fails as no task should."""

    meta = TaskMeta("buggy", 1, "accuracy", "Fails.")

    def judge(self, fitted: Fitted, test: Batchwise) -> Score:
        raise ZeroDivisionError("deep inside\nand more of it")


@pytest.fixture(autouse=True)
def toys(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tasks above are in the catalogue, under their names."""
    monkeypatch.setattr(TASKS, "_table", dict(TASKS._table))
    for toy in (NearestMean, OfTokens, Buggy):
        TASKS.add(toy.meta.name, f"a_plug_in:{toy.__name__}")
    get = TASKS.get
    known: dict[str, Any] = {toy.meta.name: toy for toy in (NearestMean, OfTokens, Buggy)}
    monkeypatch.setattr(TASKS, "get", lambda name: known.get(name) or get(name))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw(tmp_path_factory.mktemp("photos") / "set", 3, 15, 60, 70)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Checkpoints, so that the networks count as trained and are scored."""
    return saved(tmp_path_factory.mktemp("weights"), TINY, VIT)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("store"), lambda line: None)


Sweep = Callable[..., tuple[Tally, list[Record]]]


@pytest.fixture
def sweep(photos: Path, weights: dict[str, str], store: Store, tmp_path: Path) -> Sweep:
    """Runs a sweep whose fields are given, and reads what it left."""

    def ran(
        model: str = TINY, engines: tuple[str, ...] = ("ort",), looks: Looks | None = None, **fields: Any
    ) -> tuple[Tally, list[Record]]:
        asked = {"data": (str(photos),), "tasks": (), "scenarios": (), "batches": (1, 4), "threads": 1, "repeats": 1}
        asked |= {"seconds": 0.02, "weights": {model: weights[model]}}
        spec = SweepSpec((model,), engines, **{**asked, **fields})
        desk = Desk(tmp_path / "out", environment())
        tally = run(assemble(spec, store), desk, looks)
        return tally, [read(path) for path in sorted(desk.records.glob("*.json"))]

    return ran


def test_a_toy_task_and_the_engine_that_does_nothing_end_in_records(sweep: Sweep, tmp_path: Path) -> None:
    tally, records = sweep(tasks=("nearest_mean",), scenarios=("single_stream",))
    assert tally.exit_code == 0
    [score] = [r for r in records if isinstance(r, ScoreRecord) and r.status == "ok"]
    timings = {r.cell.engine: r for r in records if isinstance(r, TimingRecord)}
    assert score.subject.task == "nearest_mean"
    assert len(score.per_sample) == score.subject.n_test
    thumbnails = read_thumbnails(place(tmp_path / "out" / "pictures", score.subject.data_digest))
    assert len(thumbnails.test) == len(thumbnails.places) == score.subject.n_test
    assert score.parity is not None
    assert score.parity.passed
    assert score.keys.fit
    assert set(timings) == {"ort:cpu", "null:cpu"}
    assert not score.cell.reference
    assert timings["null:cpu"].parity is None
    for timing in timings.values():
        [series] = timing.series
        assert (series.name, series.repeat) == ("latency", 0)
        assert 0 < series.begin_ns < series.end_ns
        assert series.end_ns - series.begin_ns >= sum(series.samples)
        assert series.stopped
        assert len(timing.monitoring) == 1


def test_a_table_before_the_end_shows_the_first_repeat_which_is_not_measured_again(sweep: Sweep) -> None:
    now, shown = itertools.count(step=100), list[tuple[Record, ...]]()
    _, records = sweep(
        engines=("ort", "openvino"),
        tasks=("nearest_mean",),
        scenarios=("single_stream",),
        repeats=2,
        batches=(1, 6),
        looks=Looks(lambda timings: shown.append(tuple(timings)), lambda: float(next(now))),
    )
    [early] = shown
    final = {r.key: r for r in records if isinstance(r, TimingRecord)}
    assert [r.cell.engine for r in early] == ["ort:cpu", "openvino:cpu"]
    for record in early:
        assert isinstance(record, TimingRecord)
        [first] = record.series
        assert [s.repeat for s in final[record.key].series] == [0, 1]
        assert final[record.key].series[0].samples == first.samples


def test_eager_pytorch_is_what_the_others_are_compared_with(sweep: Sweep) -> None:
    _, records = sweep(engines=("torch", "ort"), tasks=("nearest_mean",))
    assert {r.cell.engine: r.cell.reference for r in records} == {"torch:eager": True, "ort:cpu": False}
    first, other = (r for r in records if isinstance(r, ScoreRecord))
    assert first.per_sample == other.per_sample


def test_a_task_may_read_tokens(sweep: Sweep) -> None:
    tally, records = sweep(VIT, tasks=("nearest_mean", "of_tokens"))
    assert tally.exit_code == 0
    scores = {r.subject.task: r for r in records if isinstance(r, ScoreRecord)}
    assert scores["of_tokens"].subject.outputs == ("tokens",)
    assert scores["of_tokens"].keys.features != scores["nearest_mean"].keys.features
    assert scores["of_tokens"].main.value is not None
    assert scores["of_tokens"].main.value > 50, "colour tells the class"
    assert scores["of_tokens"].parity is not None
    assert scores["of_tokens"].parity.passed


def test_what_a_network_does_not_have_fails_the_task_that_reads_it_alone(sweep: Sweep) -> None:
    tally, records = sweep(tasks=("of_tokens",))
    assert tally.exit_code == 1
    [score] = records
    assert score.status == "failed"
    assert score.failure is not None
    assert "maps" in score.failure.what or "output" in score.failure.what
    assert not score.failure.bug


def test_a_bug_in_one_result_is_its_record_and_the_sweep_goes_on(
    sweep: Sweep, capsys: pytest.CaptureFixture[str]
) -> None:
    tally, records = sweep(tasks=("buggy", "nearest_mean"), scenarios=("single_stream",))
    assert (tally.exit_code, tally.failed, tally.bugs) == (3, 1, 1)
    [failed] = [r for r in records if r.status == "failed"]
    assert failed.failure is not None
    assert failed.failure.type == "ZeroDivisionError"
    assert failed.failure.what == "A bug: ZeroDivisionError: deep inside"
    assert "in judge" in failed.failure.traceback
    assert Counter(r.status for r in records)["ok"] == 3
    assert "Traceback" not in capsys.readouterr().err


def test_a_bug_while_a_cell_is_built_is_that_cell_s(sweep: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise KeyError("nothing here")

    monkeypatch.setattr(NullEngine, "_build", broken)
    tally, records = sweep(scenarios=("single_stream",), batches=(1, 2))
    assert tally.exit_code == 3
    status = {r.cell.engine: r for r in records}
    assert status["ort:cpu"].status == "ok"
    failure = status["null:cpu"].failure
    assert failure is not None
    assert failure.bug
    assert "in broken" in failure.traceback


def test_what_stops_the_timing_does_not_speak_for_the_scores(sweep: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise OSError("no rotation")

    monkeypatch.setattr("bench.sweep.rotation.prepare", broken)
    tally, records = sweep(tasks=("buggy", "nearest_mean"), scenarios=("single_stream",))
    assert (tally.exit_code, tally.failed) == (3, 3)
    why = {r.subject.name: r.failure for r in records if r.cell.engine == "ort:cpu"}
    assert why["nearest_mean@set"] is None
    kinds = {name: failure.type for name, failure in why.items() if failure}
    assert kinds == {"buggy@set": "ZeroDivisionError", "single_stream": "OSError"}


REFUSE = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "torchvision", "timm", "onnx"}:
            raise ImportError(f"{name} is not to be had here")
sys.meta_path.insert(0, Refuse())
"""


def test_a_plan_is_timed_where_there_is_no_framework(
    sweep: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(REFUSE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))  # of the child processes alone: this one has begun
    tally, records = sweep(scenarios=("single_stream", "offline"), batches=(1, 5))
    assert tally.exit_code == 0
    assert {r.status for r in records} == {"ok"}
    tally, records = sweep(scenarios=("end_to_end",), batches=(1, 5))  # only resizing wants PyTorch
    failures = [r.failure.what for r in records if r.failure]
    assert len(failures) == tally.failed == 2
    assert all("torch is not to be had here" in what for what in failures)


def test_a_full_disk_ends_the_sweep(sweep: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    from export.errors import OutOfSpace

    def full(*_: object) -> None:
        raise OutOfSpace("No space left.")

    monkeypatch.setattr(Knn, "judge", full)
    with pytest.raises(OutOfSpace):
        sweep(tasks=("knn",))


def test_one_fit_serves_every_corruption_and_two_tasks(
    sweep: Sweep, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tasks.scoring import softmax_regression

    fits: list[str] = []
    softmax = softmax_regression.fit

    def counted(*arguments: Any, **more: Any) -> Any:
        fits.append("one")
        return softmax(*arguments, **more)

    monkeypatch.setattr(softmax_regression, "fit", counted)
    others = tmp_path / "others" / "white"
    others.mkdir(parents=True)
    for seed in range(4):
        (others / f"{seed}.jpg").write_bytes(photograph(seed))
    tally, records = sweep(
        tasks=("linear_probe", "out_of_scope", "knn"),
        corruptions=("contrast", "brightness:1"),
        out_of_scope=(str(tmp_path / "others"),),
        batches=(1, 3),
    )
    assert tally.exit_code == 0
    scores = [r for r in records if isinstance(r, ScoreRecord)]
    assert Counter(r.subject.task for r in scores) == {"linear_probe": 7, "knn": 7, "out_of_scope": 1}
    assert len(fits) == 1
    assert len({r.keys.fit for r in scores if r.subject.task != "knn"}) == 1
    assert len({r.keys.fit for r in scores}) == 2
    shifted = [r for r in scores if r.subject.shift]
    assert len(shifted) == 12
    plain = next(r for r in scores if r.subject.task == "knn" and not r.subject.shift)
    assert {r.subject.shift.without for r in shifted if r.subject.shift} == {(plain.subject.data_digest,)}


def test_a_folder_named_like_a_shift_is_a_data_set_like_any_other(sweep: Sweep, photos: Path, tmp_path: Path) -> None:
    odd = tmp_path / "a→b|c@d"
    shutil.copytree(photos, odd)
    tally, records = sweep(tasks=("knn",), data=(str(odd),), corruptions=("contrast:1",))
    assert tally.exit_code == 0
    scores = {r.subject.data: r for r in records if isinstance(r, ScoreRecord)}
    assert scores["a→b|c@d"].subject.shift is None
    [shifted] = [r for r in scores.values() if r.subject.shift]
    assert shifted.subject.shift
    assert shifted.subject.shift.fitted == "a→b|c@d"

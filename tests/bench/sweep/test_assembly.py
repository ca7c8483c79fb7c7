"""One bad file never costs another cell: finished ONNX files, bad and good, in one sweep."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from annotated_trees import masked, repictured, turned
from foreign_files import PHOTOGRAPHS, Situation
from PIL import Image
from trees import write

from bench.measure.machine import environment
from bench.records.record import Record, ScoreRecord, TimingRecord, read
from bench.sweep import gate
from bench.sweep.assembly import assemble, named_apart
from bench.sweep.desk import Desk
from bench.sweep.looks import Looks
from bench.sweep.pipeline import Tally, run
from bench.sweep.spec import SweepSpec
from engines.base import Engine, Plan
from export.convert import trial
from export.errors import UserError
from export.parity import Parity
from export.store import Store
from tasks.data.base import DataSet


@pytest.fixture(autouse=True)
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "alone", trial.made)
    monkeypatch.setattr("engines.trial.prove", lambda *_: None)
    monkeypatch.setattr("export.convert.verify.photographs", lambda store, images=None: PHOTOGRAPHS)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos") / "set"
    noise = np.random.default_rng(0)
    for c in range(2):
        (folder / f"class{c}").mkdir(parents=True)
        for i in range(12):
            pixels = noise.integers(0, 120, (20, 20, 3), dtype=np.uint8)
            pixels[..., c] += 100
            Image.fromarray(pixels).save(folder / f"class{c}" / f"{i:02d}.png")
    return folder


def swept(
    photos: Path, tmp_path: Path, files: list[Path], looks: Looks | None = None, **fields: object
) -> tuple[Tally, list[Record]]:
    asked = {"data": (str(photos),), "tasks": ("knn",), "scenarios": (), "batches": (1, 4), "threads": 1, "repeats": 1}
    spec = SweepSpec(tuple(map(str, files)), ("ort",), **{**asked, "seconds": 0.02, **fields})  # type: ignore[arg-type]
    desk = Desk(tmp_path / "out", environment())
    tally = run(assemble(spec, Store(tmp_path / "store", lambda line: None)), desk, looks)
    return tally, [read(path) for path in sorted(desk.records.glob("*.json"))]


def called(record: Record) -> str:
    """The backbone's name without its folder."""
    return record.cell.backbone.rpartition("/")[2]


def test_a_good_file_after_bad_ones_gets_all_its_records(photos: Path, tmp_path: Path) -> None:
    bad = {
        "sidecar": Situation(sidecar="height: 8, widht: 8"),
        "html": Situation(damage="html"),
        "nan": Situation(weights="nan"),
        "custom": Situation(extra="my.ops"),
        "sequence": Situation(inside="sequence first"),
        "classes": Situation(tail="int64"),
        "outside": Situation(constants="external outside"),
        "old": Situation(opset=6),
    }
    (tmp_path / "files").mkdir()
    files = [situation.write(tmp_path / "files", name) for name, situation in bad.items()]
    alone = tmp_path / "files" / "alone.onnx"
    alone.write_bytes(files[0].read_bytes())  # without a sidecar
    files.append(alone)
    good = Situation(batch=1, inside="[1,-1]").write(tmp_path / "files", "good")
    tally, records = swept(photos, tmp_path, [*files, good], scenarios=("single_stream",))
    assert tally.exit_code == 1
    assert tally.failed == 2 * len(files)
    by_name: dict[str, list[Record]] = {}
    for record in records:
        by_name.setdefault(called(record), []).append(record)
    for name in (*bad, "alone"):
        assert {r.status for r in by_name[name]} == {"failed"}
        for record in by_name[name]:
            assert record.failure is not None
            assert not record.failure.bug
    ok = [r for r in by_name["good"] if r.status == "ok"]
    assert {(type(r), r.cell.engine) for r in ok} == {
        (ScoreRecord, "ort:cpu"),
        (TimingRecord, "ort:cpu"),
        (TimingRecord, "null:cpu"),  # the harness's own cost, of a backbone that can be used
    }


def test_a_sweep_of_nothing_usable_is_refused_before_it_runs(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not an ONNX file"):
        swept(photos, tmp_path, [Situation(damage="lfs").write(tmp_path)])
    with pytest.raises(UserError, match="does not exist"):
        swept(photos, tmp_path, [Situation().write(tmp_path), tmp_path / "gone.onnx"])


def test_a_file_that_is_int8_already_is_one_int8_cell(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = Situation(precision="int8").write(tmp_path, "narrow")
    tally, records = swept(photos, tmp_path, [file], precisions=("fp32", "int8", "fp16"))
    assert "narrow: the file is int8 already" in capsys.readouterr().err
    status = {r.cell.precision: r for r in records}
    assert {name: r.status for name, r in status.items()} == {"int8": "ok", "fp16": "failed"}
    assert tally.exit_code == 1
    failure = status["fp16"].failure
    assert failure is not None
    assert "is int8 already: no fp16 file is made of it" in failure.what
    assert status["int8"].parity is not None
    assert status["int8"].parity.cosine_bound < 0.99


class Panic(BaseException):
    """What a library written in Rust raises."""


@pytest.mark.parametrize("raised", [Panic("deep inside"), SystemExit("the user's module calls exit"), MemoryError()])
def test_whatever_is_raised_is_the_cell_s(
    raised: BaseException, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = gate.check

    def broken(engine: Engine, plan: Plan, store: Store) -> Parity | None:
        if plan.artifact.backbone.endswith("/bad"):
            raise raised
        return check(engine, plan, store)

    monkeypatch.setattr(gate, "check", broken)
    files = [Situation().write(tmp_path, "bad"), Situation(batch=1).write(tmp_path, "good")]
    tally, records = swept(photos, tmp_path, files)
    assert {called(r): r.status for r in records} == {"bad": "failed", "good": "ok"}
    assert tally.exit_code == 3


def test_a_timing_that_cannot_be_counted_and_a_table_that_cannot_be_shown_cost_nothing_else(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bench.sweep import timing

    record = timing._record

    def broken(timed: timing.Timed, *more: object) -> Record:
        if timed.planned.backbone.name.endswith("/bad") and timed.planned.engine.computes:
            raise ZeroDivisionError("no median")
        return record(timed, *more)  # type: ignore[arg-type]

    def no_table(_: object) -> None:
        raise UserError("No table.")

    monkeypatch.setattr(timing, "_record", broken)
    names = ("bad", "good", "other")
    files = [Situation(batch=i).write(tmp_path, name) for i, name in enumerate(names, 1)]
    ticks = iter(range(0, 10**6, 100))
    looks = Looks(no_table, lambda: float(next(ticks)))
    tally, records = swept(photos, tmp_path, files, looks, tasks=(), scenarios=("single_stream",))
    status = {called(r): r.status for r in records if r.cell.engine == "ort:cpu"}
    assert status == {"bad": "failed", "good": "ok", "other": "ok"}
    assert tally.exit_code == 3


def named(tmp_path: Path, *places: str) -> list[str]:
    given = []
    for place in places:
        path = tmp_path / place
        if "/" in place:
            path.mkdir(parents=True, exist_ok=True)
        ref = str(path) if "/" in place else place
        given.append((ref, DataSet(Path(place).name, (), (), "", lambda _: b"")))
    return [images.name for images in named_apart(given)]


@pytest.mark.parametrize(
    ("places", "names"),
    [
        (("a/photos", "b/pictures", "elpv"), ["photos", "pictures", "elpv"]),
        (("a/photos", "b/photos", "b/other"), ["a/photos", "b/photos", "other"]),
        (("a/x/photos", "b/x/photos"), ["a/x/photos", "b/x/photos"]),
        (("a/x/photos", "b/x/photos", "b/y/photos"), ["a/x/photos", "b/x/photos", "y/photos"]),
        (("mine/elpv", "elpv"), ["mine/elpv", "elpv"]),
    ],
)
def test_data_sets_of_one_name_are_named_with_their_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, places: tuple[str, ...], names: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert named(tmp_path, *places) == names


def assembled(data: Path, tmp_path: Path, **fields: object) -> list[str]:
    """The names of the data sets of a sweep of segmentation on ``data``."""
    file = Situation().write(tmp_path, "net")
    asked = {"data": (str(data),), "tasks": ("semantic_segmentation",), "scenarios": (), **fields}
    spec = SweepSpec((str(file),), ("ort",), **asked)  # type: ignore[arg-type]
    return [images.name for images in assemble(spec, Store(tmp_path / "store", lambda line: None)).data]


def test_masks_are_tested_under_shift_and_corruption(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    streets = write(tmp_path / "streets", masked())
    rain = write(tmp_path / "rain", repictured(masked("{role}/{i}")))
    names = assembled(streets, tmp_path, shifted=(str(rain),), corruptions=("all:3",))
    assert names[:2] == ["streets", "streets→rain"]
    assert len(names) == 2 + 14
    assert "streets: not corrupted by elastic_transform" in capsys.readouterr().err


def test_pictures_are_not_turned_away_from_their_masks(tmp_path: Path) -> None:
    tree = masked()
    streets = write(tmp_path / "streets", tree | {"test/images/8.jpg": turned(8, 6)})
    with pytest.raises(UserError, match=r"cpu:exif turns pictures(.|\n)*streets has masks(.|\n)*--preprocess cpu$"):
        assembled(streets, tmp_path, preprocess="cpu:exif")
    assert assembled(streets, tmp_path) == ["streets"]

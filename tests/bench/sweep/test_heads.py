"""From pictures with masks and boxes to records: heads joined to tiny networks, compiled, judged and timed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bench.damage import table_of_heads
from bench.measure.machine import environment
from bench.records.record import Record, ScoreRecord, TimingRecord, read
from bench.records.results import Results
from bench.report.page import page
from bench.sweep.assembly import assemble
from bench.sweep.desk import Desk
from bench.sweep.head_damage import HeadRow, compared_heads
from bench.sweep.maps import make_room
from bench.sweep.pipeline import Tally, run
from bench.sweep.spec import SweepSpec
from bench.verdict.heads import heads
from bench.verdict.table import rows
from export.errors import UserError
from export.store import Store

pytestmark = pytest.mark.usefixtures("no_network")

NET = "test_efficientnet.r160_in1k"
TASK = "semantic_segmentation"


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of a coloured half plane, with its mask; the masks' 9 is void."""
    folder = tmp_path_factory.mktemp("dense") / "scenes"
    draw = np.random.default_rng(0)
    for split, count in (("train", 10), ("val", 5), ("test", 6)):
        for kind in ("images", "masks"):
            (folder / split / kind).mkdir(parents=True)
        for i in range(count):
            mask = np.zeros((72, 96), np.uint8)
            mask[:, int(draw.integers(20, 76)) :] = 1
            mask[int(draw.integers(30, 60)) :] = 2
            pixels = draw.integers(0, 60, (72, 96, 3), dtype=np.uint8)
            for label in range(3):
                pixels[..., label][mask == label] += 150
            mask[:4] = 9
            Image.fromarray(pixels).save(folder / split / "images" / f"{i}.jpg", quality=95)
            Image.fromarray(mask).save(folder / split / "masks" / f"{i}.png")
    (folder / "classes.txt").write_text("wall\nfloor\ngrass\n")
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    import torch

    from export.torchvision_ops import import_timm

    file = tmp_path_factory.mktemp("weights") / "net.pth"
    torch.manual_seed(3)
    torch.save(import_timm().create_model("test_efficientnet", num_classes=0).state_dict(), file)
    return {NET: str(file)}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("store"), lambda line: None)


Sweep = Callable[..., tuple[Tally, list[Any], Path]]


@pytest.fixture
def sweep(scenes: Path, weights: dict[str, str], store: Store, tmp_path: Path) -> Sweep:
    def ran(**fields: Any) -> tuple[Tally, list[Any], Path]:
        asked: dict[str, Any] = {"models": (NET,), "engines": ("ort",), "weights": weights, "data": (str(scenes),)}
        asked |= {"tasks": (TASK,), "scenarios": (), "batches": (1, 4), "threads": 1, "void": (9,), "seconds": 0.05}
        spec = SweepSpec(**(asked | {"size": ("64x96",), "repeats": 1} | fields))
        desk = Desk(tmp_path / "results", environment())
        tally = run(assemble(spec, store), desk)
        found: list[Record] = [read(path) for path in sorted(desk.records.glob("*.json"))]
        return tally, found, desk.folder

    return ran


def test_a_head_is_fitted_joined_compiled_judged_on_its_own_outputs_and_timed(sweep: Sweep) -> None:
    tally, records, folder = sweep(precisions=("fp32", "int8"), scenarios=("single_stream",), resize="letterbox")
    assert tally.exit_code == 0
    scores = {r.cell.precision: r for r in records if isinstance(r, ScoreRecord) and r.status == "ok"}
    assert set(scores) == {"fp32", "int8"}
    full = scores["fp32"]
    assert full.main.name == "mIoU"
    assert full.main.value is not None
    assert full.main.value > 40, "colour tells the class"
    assert np.mean(full.per_sample) == pytest.approx(full.main.value)
    assert full.cell.input == "64x96 letterbox"
    assert [tap["stride"] for tap in full.about.taps] == [8, 16, 32]
    assert {one["class"] for one in full.by_class} == {"wall", "floor", "grass"}
    assert full.parity is not None
    assert (full.parity.output, full.parity.passed) == ("logits", True)
    assert full.keys.joint
    assert full.keys.joint != scores["int8"].keys.joint
    assert full.keys.fit == scores["int8"].keys.fit, "the head is fitted in fp32, and lowered with its backbone"
    assert full.keys.plan_content != scores["int8"].keys.plan_content
    timed = {(r.cell.precision, r.subject.head) for r in records if isinstance(r, TimingRecord) and r.status == "ok"}
    with_head = f"{TASK}@scenes"
    assert timed >= {(p, head) for p in ("fp32", "int8") for head in ("", with_head)}
    assert (folder / "pictures" / full.picture).stat().st_size > 1000

    results = Results.load(folder)
    shown = heads(rows(results)[0])
    assert "p50, with semantic segmentation, ms" in shown
    assert "Predictions" in page(results)
    assert sweep(precisions=("fp32", "int8"), resize="letterbox")[0].failed == 0


def test_the_same_numbers_come_from_maps_that_are_kept_and_that_are_computed_again(
    sweep: Sweep, store: Store, tmp_path: Path
) -> None:
    tasks = (TASK, "segmentation_equal_width", "segmentation_knn")
    _, kept, _ = sweep(tasks=tasks, resize="squash")
    assert any((store.root / "maps").iterdir())
    read = {r.subject.task: r.extraction for r in kept if isinstance(r, ScoreRecord)}
    assert {how.images for how in read.values() if how} == {15 + 6, 6}, "train and val are computed for the first alone"
    make_room(store, 1 << 40, 1)
    assert not [entry for entry in (store.root / "maps").iterdir() if entry.is_dir()]
    for fit in (store.root / "fit").iterdir():
        fit.rename(tmp_path / fit.name)
    for path in (tmp_path / "results" / "records").iterdir():
        path.unlink()
    _, again, _ = sweep(tasks=tasks, resize="squash", maps_gib=0.0)
    scores = [{r.subject.task: r.main.value for r in run if isinstance(r, ScoreRecord)} for run in (kept, again)]
    assert set(scores[0]) == set(tasks)
    for name in tasks:  # what is kept has half precision
        assert scores[0][name] == pytest.approx(scores[1][name], abs=1.5)


def test_large_pictures_are_shown_as_windows_and_scored_whole(sweep: Sweep, capsys: pytest.CaptureFixture[str]) -> None:
    tally, records, folder = sweep(size=("32x32",))
    assert tally.exit_code == 0
    said = "pictures larger than twice the input (32x32) are cut into windows: 21 of 21 pictures, 84 windows"
    assert f"data scenes: {said}" in capsys.readouterr().err
    [score] = [r for r in records if isinstance(r, ScoreRecord)]
    assert score.subject.remarks[-1] == said
    assert (score.subject.n_train, score.subject.n_val, score.subject.n_test) == (40, 20, 24)
    assert (score.main.n, len(score.per_sample)) == (6, 6)
    assert score.main.value is not None
    assert score.main.value > 40
    assert np.mean(score.per_sample) == pytest.approx(score.main.value)
    assert (folder / "pictures" / score.picture).stat().st_size > 1000
    assert said in page(Results.load(folder))


def test_a_head_may_end_in_a_map_of_classes_which_changes_no_score(sweep: Sweep) -> None:
    """It is another network, with its own plan and its own time."""
    _, [plain], _ = sweep(resize="squash")
    _, records, _ = sweep(resize="squash", class_map="full", scenarios=("single_stream",))
    mapped = next(r for r in records if isinstance(r, ScoreRecord) and r.keys.joint not in ("", plain.keys.joint))
    assert mapped.keys.fit == plain.keys.fit
    assert mapped.per_sample == pytest.approx(plain.per_sample, abs=0.2)
    assert any(isinstance(r, TimingRecord) and r.subject.settings.get("class_map") == "full" for r in records)


def test_an_untrained_twin_is_scored_marked_and_never_ranked(sweep: Sweep) -> None:
    twin = "test_efficientnet@random"
    _, records, folder = sweep(models=(NET, NET + "@random"), resize="squash")
    scored = {r.cell.backbone: r for r in records if isinstance(r, ScoreRecord) and r.status == "ok"}
    assert len(scored) == 2, twin
    from bench.verdict.choose import ranking_of

    ranking = ranking_of(Results.load(folder))
    assert len(ranking.ranked) == 1
    [aside] = [row for row in range(len(ranking.sheet.labels)) if row not in ranking.ranked]
    assert "untrained" in ranking.sheet.why[aside]


def test_what_deployment_costs_a_head_is_told_image_by_image(
    scenes: Path, weights: dict[str, str], store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = SweepSpec(
        models=(NET,),
        engines=("ort",),
        precisions=("fp32", "int8"),
        weights=weights,
        data=(str(scenes),),
        tasks=(TASK,),
        scenarios=(),
        void=(9,),
        size=("64x96",),
        resize="squash",
        threads=1,
    )
    asked = assemble(spec, store)
    rows = list(compared_heads(asked.cells, asked.data[0]))
    assert [type(row) for row in rows] == [HeadRow, HeadRow]
    full, narrow = (row for row in rows if isinstance(row, HeadRow))
    assert full.change.value == pytest.approx(0, abs=0.1)
    assert full.cosine_least > 0.9999 > narrow.cosine_least
    assert narrow.worst.startswith("test/images/")
    assert table_of_heads([full, narrow]).count("\n") == 3


@pytest.mark.parametrize(
    ("tasks", "words"),
    [(("detection",), "detection needs boxes"), (("knn",), "knn needs one class an image"), ((TASK, "knn"), "knn")],
)
def test_a_set_with_masks_is_refused_for_other_tasks(sweep: Sweep, tasks: tuple[str, ...], words: str) -> None:
    with pytest.raises(UserError, match=words) as refused:
        sweep(tasks=tasks)
    assert TASK in refused.value.remedy


def test_the_input_size_comes_from_the_pictures_where_none_is_asked_for(
    scenes: Path, weights: dict[str, str], store: Store
) -> None:
    spec = SweepSpec(
        models=(NET,), engines=("ort",), weights=weights, data=(str(scenes),), tasks=(TASK,), scenarios=(), void=(9,)
    )
    [cell] = assemble(spec, store).cells
    assert cell.cell.input == "72x96 letterbox"


def test_boxes_are_found(weights: dict[str, str], store: Store, tmp_path: Path, sweep: Sweep) -> None:
    folder, draw = tmp_path / "boxes", np.random.default_rng(1)
    images: list[dict[str, Any]] = []
    for split, count in (("train", 8), ("val", 4), ("test", 4)):
        document: dict[str, Any] = {"images": [], "annotations": [], "categories": [{"id": 7, "name": "block"}]}
        (folder / "images").mkdir(parents=True, exist_ok=True)
        for i in range(count):
            pixels = draw.integers(0, 60, (64, 96, 3), dtype=np.uint8)
            x, y = int(draw.integers(0, 60)), int(draw.integers(0, 30))
            pixels[y : y + 28, x : x + 30, 0] += 180
            name = f"{split}{i}.png"
            Image.fromarray(pixels).save(folder / "images" / name)
            document["images"].append({"id": i, "file_name": name, "width": 96, "height": 64})
            document["annotations"].append({"id": i, "image_id": i, "category_id": 7, "bbox": [x, y, 30, 28]})
        (folder / f"{split}.json").write_text(json.dumps(document))
        images += document["images"]
    tally, records, _ = sweep(data=(str(folder),), tasks=("detection",), void=(), resize="squash")
    assert tally.exit_code == 0
    [score] = [r for r in records if isinstance(r, ScoreRecord) and r.status == "ok"]
    assert score.main.name == "AP"
    assert score.by_class[0]["class"] == "block"
    assert score.parity is not None
    assert score.parity.passed

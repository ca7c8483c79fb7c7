"""The whole command on small real things: drawn photographs, a tiny network, real engines, real child processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from coloured import draw
from PIL import Image

from bench import rank, robustness
from bench.records.record import Record, ScoreRecord, TimingRecord, read
from bench.run import main
from export.errors import UserError
from tasks.catalog import TASKS, task

ROOT = Path(__file__).resolve().parents[2]
MODEL = "test_resnet.r160_in1k"

pytestmark = pytest.mark.network  # the parity gate's photographs come in a package


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint file, so that the network counts as trained and is scored."""
    import torch

    from export.torchvision_ops import import_timm

    torch.manual_seed(3)
    file = tmp_path_factory.mktemp("weights") / "mine.pth"
    torch.save(import_timm().create_model("test_resnet", num_classes=0).state_dict(), file)
    return file


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw(tmp_path_factory.mktemp("photos") / "set")


@pytest.fixture(scope="module")
def shared_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture
def sweep(weights: Path, photos: Path, shared_store: Path, tmp_path: Path) -> Callable[..., list[str]]:
    """The command line of a sweep that takes seconds; what is given later wins."""

    def line(*more: str, data: Path = photos) -> list[str]:
        short = ["--tasks", "knn,retrieval", "--scenario", "single_stream", "--seconds", "0.05", "--repeats", "1"]
        where = ["--store", str(shared_store), "--out", str(tmp_path / "out")]
        what = ["--engine", "ort", "--models", MODEL, "--weights", f"{MODEL}={weights}", "--data", str(data)]
        return [*what, *short, *where, *more]

    return line


def records(folder: Path) -> dict[str, Record]:
    return {p.stem: read(p) for p in (folder / "out" / "records").glob("*.json")}


def scored(folder: Path) -> list[ScoreRecord]:
    return [r for r in records(folder).values() if isinstance(r, ScoreRecord)]


def timed(folder: Path) -> list[TimingRecord]:
    return [r for r in records(folder).values() if isinstance(r, TimingRecord)]


def test_a_sweep_ends_in_records_a_table_a_pick_and_a_page(
    sweep: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = sweep(
        "--tasks", "knn,linear_probe,few_shot,retrieval", "--scenario", "single_stream,offline,end_to_end"
    )
    assert main(arguments) == 0
    out, err = capsys.readouterr()
    found = records(tmp_path)
    scores = {r.subject.task: r for r in scored(tmp_path) if r.status == "ok"}
    assert set(scores) == {"knn", "linear_probe", "few_shot", "retrieval"}
    timings = {(r.subject.scenario, r.cell.engine) for r in timed(tmp_path)}
    assert len(timings) == 6, "three scenarios of the cell, and of the baseline that computes nothing"
    knn = scores["knn"]
    assert len(knn.per_sample) == knn.subject.n_test == 12
    assert knn.parity
    assert knn.parity.passed
    assert all((knn.keys.onnx, knn.keys.plan, knn.keys.plan_content, knn.keys.features, knn.keys.fit))
    plans = {r.keys.plan_content for r in found.values() if r.status == "ok" and r.cell == knn.cell}
    assert len(plans) == 1, "accuracy and cost come from one plan"
    single = next(r for r in timed(tmp_path) if r.subject.scenario == "single_stream" and r.cell == knn.cell)
    assert single.main.name == "latency_p50_ms"
    assert single.metric("peak_memory_mib")
    assert single.metric("load_ms")
    assert single.metric("first_run_ms")
    assert sum(len(series.samples) for series in single.series) == single.main.n
    assert MODEL in out
    assert "Ship" in out
    page = tmp_path / "out" / "report.html"
    assert page.exists()
    assert str(page) in err


def test_a_search_stands_beside_the_latency_and_leaves_the_memory_of_the_rest_alone(
    sweep: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("faiss")
    assert main(sweep("--tasks", "retrieval", "--scenario", "search,single_stream", "--index-size", "2000")) == 0
    out = capsys.readouterr().out
    timings = {(r.subject.scenario, r.cell.engine): r for r in timed(tmp_path)}
    assert len(timings) == 4, "the baseline that computes nothing is searched too"
    engine = next(name for _, name in timings if name.startswith("ort"))
    search, single = timings["search", engine], timings["single_stream", engine]
    assert search.subject.settings["index_size"] == 2000
    width = search.about.dim
    assert width
    for name, size in (("index_mib", 4 * width), ("index_int8_mib", width), ("index_binary_mib", width / 8)):
        metric = search.metric(name)
        assert metric is not None
        assert metric.value == pytest.approx(2000 * size / 2**20)
    assert search.metric("search_binary_p50_ms")
    assert search.metric("peak_memory_mib") is None
    assert single.metric("peak_memory_mib")
    assert single.metric("first_run_ms"), "it runs before the indexes are there"
    assert "search" in out


def test_a_finished_sweep_does_nothing_again(
    sweep: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(sweep()) == 0
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "out" / "records").iterdir()}
    capsys.readouterr()
    assert main(sweep()) == 0
    err = capsys.readouterr().err
    assert "timing" not in err
    untouched = [p for p, t in before.items() if p.stat().st_mtime_ns == t]
    assert {read(p).status for p in set(before) - set(untouched)} <= {"skipped"}
    assert main(sweep("--fresh")) == 0
    assert any(p.stat().st_mtime_ns != before[p] for p in untouched)


def test_a_sweep_that_was_killed_goes_on(sweep: Callable[..., list[str]], tmp_path: Path) -> None:
    arguments = sweep("--models", f"{MODEL},{MODEL}@random", "--seconds", "0.2", "--repeats", "3")
    folder = tmp_path / "out"
    with subprocess.Popen(
        [sys.executable, "-m", "bench.run", *arguments], cwd=ROOT, stderr=subprocess.DEVNULL, start_new_session=True
    ) as child:
        end = time.monotonic() + 120
        while not any((folder / "parts").glob("*.json")) and child.poll() is None and time.monotonic() < end:
            time.sleep(0.02)
        assert child.poll() is None, "it was to be killed in the middle"
        os.killpg(child.pid, signal.SIGKILL)
    before = {p: p.stat().st_mtime_ns for p in (folder / "records").glob("*.json") if read(p).status == "ok"}
    parts = {p: p.stat().st_mtime_ns for p in (folder / "parts").glob("*.json")}
    assert before
    assert parts
    assert main(arguments) == 0
    assert all(p.stat().st_mtime_ns == t for p, t in before.items())
    done = [r for r in timed(tmp_path) if r.status == "ok"]
    assert len(done) == 3
    assert all(len(r.series) == 3 for r in done), "three repeats each, the measured ones not measured again"
    assert not list((folder / "parts").iterdir())


def test_untrained_is_timed_and_never_scored(sweep: Callable[..., list[str]], tmp_path: Path) -> None:
    assert main([a for a in sweep("--models", f"{MODEL}@random") if "=" not in a and a != "--weights"]) == 0
    found = [r for r in records(tmp_path).values() if r.cell.untrained]
    assert {(type(r), r.status) for r in found} == {(ScoreRecord, "skipped"), (TimingRecord, "ok")}
    assert all(r.failure and "Untrained" in r.failure.what for r in found if isinstance(r, ScoreRecord))


def test_what_failed_is_kept_with_its_reason_and_the_rest_goes_on(
    sweep: Callable[..., list[str]], tmp_path: Path, weights: Path
) -> None:
    broken = tmp_path / "broken.pth"
    broken.write_bytes(weights.read_bytes()[:1000])
    zoo = tmp_path / "zoo.yaml"
    zoo.write_text("- {name: broken, timm: test_resnet.r160_in1k, file: broken.pth}\n")
    assert main(sweep("--models", f"broken,{MODEL}", "--zoo", str(zoo))) == 1
    failed = [r for r in records(tmp_path).values() if r.status == "failed"]
    assert {r.cell.backbone for r in failed} == {"broken"}
    assert all(r.failure and "damaged or truncated" in r.failure.what for r in failed)
    assert any(r.status == "ok" for r in scored(tmp_path))


def test_fewer_images_than_shots_is_said(sweep: Callable[..., list[str]], tmp_path: Path) -> None:
    few = draw(tmp_path / "few", each=6)
    assert main(sweep("--tasks", "few_shot,knn", data=few)) == 1
    scores = {r.subject.task: r for r in scored(tmp_path) if r.cell.engine == "ort:cpu"}
    assert scores["knn"].status == "ok", "one task's failure is not another's"
    assert scores["few_shot"].status == "failed"
    assert scores["few_shot"].failure
    assert "5 training images" in scores["few_shot"].failure.what


def test_one_flipped_byte_in_the_features_is_set_aside_and_made_again(
    sweep: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "own"
    line = sweep("--store", str(own), "--scenario", "none")
    assert main(line) == 0
    before = {k: r.metrics for k, r in records(tmp_path).items()}
    (file,) = own.glob("features/*/rows.npy")
    raw = bytearray(file.read_bytes())
    raw[-5] ^= 64
    file.write_bytes(raw)
    capsys.readouterr()
    assert main([*line, "--fresh"]) == 0
    assert "damaged store entry" in capsys.readouterr().err
    assert {k: r.metrics for k, r in records(tmp_path).items()} == before


def test_two_runs_at_once_on_one_store(sweep: Callable[..., list[str]], tmp_path: Path) -> None:
    line = sweep("--store", str(tmp_path / "own"), "--seconds", "0.2")
    runs = [tmp_path / "one", tmp_path / "other"]
    commands = [[sys.executable, "-m", "bench.run", *line, "--out", str(run / "out")] for run in runs]
    children = [subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) for command in commands]
    told = [child.communicate()[1] for child in children]
    assert [child.returncode for child in children] == [0, 0], told
    for run in runs:
        assert {r.status for r in records(run).values() if r.cell.engine == "ort:cpu"} == {"ok"}


def test_a_corrupt_photograph_is_named_and_left_out_up_to_a_limit(
    sweep: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = draw(tmp_path / "some", each=12)
    bad = folder / "class1" / "03.jpg"
    bad.write_bytes(bad.read_bytes()[:700])
    with pytest.raises(UserError, match=r"class1/03\.jpg"):
        main(sweep(data=folder))
    assert main(sweep("--max-unreadable", "0.1", "--scenario", "none", data=folder)) == 0
    assert "class1/03.jpg" in capsys.readouterr().err
    [[remark]] = {r.subject.remarks for r in scored(tmp_path)}
    assert remark.startswith("left out: 1 unreadable image (class1/03.jpg: ")
    capsys.readouterr()
    rank.main([str(tmp_path / "out")])
    assert f"some: {remark}" in capsys.readouterr().out.replace("\n", " ")


def test_a_dry_run_builds_nothing(
    sweep: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "own"
    assert main(sweep("--dry-run", "--json", "--store", str(store))) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [r["scores_left"] for r in rows] == [2, 0]
    assert [r["timings_left"] for r in rows] == [1, 1]
    assert not (store / "onnx").exists()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (["--models", f"{MODEL},vit-b"], "Unknown backbone"),
        (["--engine", "openvno"], "openvino"),
        (["--engine", "ort:metal"], "no provider"),
        (["--tasks", "kn"], "knn"),
        (["--scenario", "ofline"], "offline"),
        (["--precision", "int3"], "Unknown precision"),
        (["--preprocess", "gpu"], "preprocessing path"),
        (["--data", "no-such-folder"], "no-such-folder"),
        (["--batches", "one"], "whole numbers"),
        (["--repeats", "0"], "at least 1"),
        (["--weights", "other=x.pth"], "not among the models"),
        (["--config", "gone.yaml"], "cannot be read"),
    ],
)
def test_bad_input_gets_a_sentence_before_anything_runs(
    sweep: Callable[..., list[str]], tmp_path: Path, change: list[str], says: str
) -> None:
    with pytest.raises(UserError, match=says) as error:
        main(sweep(*change))
    assert error.value.exit_code == 2
    assert not (tmp_path / "out").exists()


def test_empty_folders_and_one_class_get_a_sentence(sweep: Callable[..., list[str]], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="empty"):
        main(sweep(data=tmp_path / "empty"))
    with pytest.raises(UserError, match="class"):
        main(sweep(data=draw(tmp_path / "one", classes=1)))


def test_an_engine_that_cannot_run_here_says_what_is_missing() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench.run", "--engine", "trt"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "trt" in done.stderr
    assert "Try:" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_shift_is_scored_with_what_was_fitted_and_its_cost_is_told(
    sweep: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second set's pictures are grey: their colour tells nothing of the class any more."""
    grey = tmp_path / "grey"
    noise = np.random.default_rng(9)
    for c in range(2):
        (grey / f"class{c}").mkdir(parents=True)
        for i in range(9):
            pixels = np.repeat(noise.integers(0, 220, (170, 180, 1), dtype=np.uint8), 3, axis=2)
            Image.fromarray(pixels).save(grey / f"class{c}" / f"{i:02d}.jpg")
    assert main(sweep("--tasks", "knn", "--scenario", "none", "--shifted", str(grey))) == 0
    found = {r.subject.data: r for r in scored(tmp_path) if r.status == "ok"}
    assert set(found) == {"set", "set|grey", "set→grey"}
    assert found["set→grey"].subject.n_test == 18
    assert found["set→grey"].subject.n_train == found["set|grey"].subject.n_train == 24
    capsys.readouterr()
    assert robustness.main([str(tmp_path / "out"), "--json"]) == 0
    [drop] = json.loads(capsys.readouterr().out)
    assert drop["without"] == found["set|grey"].main.value
    assert drop["drop"] == pytest.approx(drop["without"] - drop["under"])
    assert drop["without"] > drop["under"]


def test_all_tasks_can_be_asked_for(sweep: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(sweep("--tasks", "all", "--scenario", "none", "--dry-run", "--json")) == 0
    out, err = capsys.readouterr()
    [row] = json.loads(out)
    assert row["scores"] == sum((task(name).meta.scope, task(name).meta.kind) == ("closed", "labels") for name in TASKS)
    assert "tasks left out, because --out-of-scope is not given: out_of_scope" in err


def test_images_out_of_scope_are_scored_by_their_task_alone(
    sweep: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """White noise beside coloured pictures: a data set of one class, and every closed task leaves it alone."""
    (tmp_path / "noise" / "white").mkdir(parents=True)
    draws = np.random.default_rng(4)
    for i in range(8):
        pixels = draws.integers(0, 255, (170, 180, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "noise" / "white" / f"{i}.jpg")
    asked = ["--tasks", "all", "--out-of-scope", str(tmp_path / "noise")]
    assert main(sweep(*asked, "--scenario", "none", "--dry-run", "--json")) == 0
    assert json.loads(capsys.readouterr().out)[0]["scores_left"] == sum(
        task(name).meta.kind == "labels" for name in TASKS
    )
    few = ["--tasks", "knn,out_of_scope", "--out-of-scope", str(tmp_path / "noise")]
    assert main(sweep(*few, "--scenario", "single_stream")) == 0
    out, _ = capsys.readouterr()
    assert "scope" in out
    found = [r for r in scored(tmp_path) if r.cell.engine == "ort:cpu"]
    assert {(r.subject.task, r.subject.data, r.status) for r in found} == {
        ("knn", "set", "ok"),
        ("out_of_scope", "set∌noise", "ok"),
    }
    mine = next(r for r in found if r.subject.task == "out_of_scope")
    assert mine.subject.n_test == len(mine.per_sample) == 12 + 8
    assert mine.main.name == "knn_AUROC"
    skipped = [r for r in scored(tmp_path) if r.status == "skipped"]
    assert {(r.subject.task, r.subject.data) for r in skipped} == {("knn", "set"), ("out_of_scope", "set∌noise")}
    capsys.readouterr()
    assert main(sweep(*few, "--dry-run", "--json")) == 0
    assert json.loads(capsys.readouterr().out)[0]["scores_left"] == 0
    with pytest.raises(UserError, match="No record here is of a shift"):
        robustness.main([str(tmp_path / "out"), "--json"])


def test_a_task_without_its_data_and_data_without_its_task_get_a_sentence(
    sweep: Callable[..., list[str]], photos: Path
) -> None:
    with pytest.raises(UserError, match=r"needs out-of-scope images: of none of the classes(.|\n)*--out-of-scope SET"):
        main(sweep("--tasks", "knn,out_of_scope"))
    with pytest.raises(UserError, match=r"no task that uses them(.|\n)*--tasks knn,out_of_scope"):
        main(sweep("--tasks", "knn", "--out-of-scope", str(photos)))
    with pytest.raises(UserError, match="set and set share classes"):
        main(sweep("--tasks", "out_of_scope", "--out-of-scope", str(photos)))

"""From a sweep to a folder that predicts alone: a tiny network, real engines, the folder's own program."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from coloured import draw
from fakes import photograph
from nets import tiny
from PIL import Image

from bench import evaluate
from bench.ship import main
from bench.shipping.bundle import EXAMPLES
from export.errors import CellError, UserError

TINY = "nets:tiny"


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Class folders of noisy pictures whose colour tells the class; one picture has 16 bits, one transparency."""
    folder = draw(tmp_path_factory.mktemp("photos") / "set", height=90, width=110, ending="png")
    noise = np.random.default_rng(1)
    for label, name in enumerate(("ash", "birch", "cedar")):
        (folder / f"class{label}").rename(folder / name)
        deep = Image.fromarray(noise.integers(0, 65536, (90, 110)).astype(np.uint16))
        deep.save(folder / name / "deep.png")
        pixels = np.asarray(Image.open(folder / name / "19.png"))
        Image.fromarray(np.dstack([pixels, noise.integers(0, 256, (90, 110), np.uint8)])).save(folder / name / "a.png")
    return folder


@pytest.fixture(scope="module")
def results(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A results folder and its store, of a sweep that did not ask for a head."""
    place = tmp_path_factory.mktemp("ship")
    drawn = [photograph(seed, 180, 200) for seed in range(8)]
    torch.manual_seed(3)
    torch.save(tiny().state_dict(), place / "tiny.pth")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("export.convert.verify.photographs", lambda store, images=None: drawn)
        evaluate(
            models=[TINY],
            weights={TINY: place / "tiny.pth"},
            engines=["ort", "openvino"],
            data=photos,
            tasks=["knn"],
            scenarios=["single_stream"],
            seconds=0.05,
            repeats=1,
            out=place / "out",
            store=place / "store",
        )
    return place / "out", place / "store"


def ship(results: tuple[Path, Path], *more: str) -> int:
    return main([str(results[0]), "--store", str(results[1]), *more])


def predicted(folder: Path, *arguments: str) -> Any:
    command = [sys.executable, "-B", str(folder / "predict.py"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder.parent)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if "--json" in arguments else done.stdout


@pytest.mark.parametrize("engine", ["ort", "openvino"])
def test_the_folder_predicts_what_was_judged_without_the_project(
    engine: str, results: tuple[Path, Path], photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "camera"
    assert ship(results, "--cell", engine, "--to", str(folder)) == 0
    assert "the plan's answer on 15 of 15 test images" in capsys.readouterr().out
    for source in ("predict.py", "network.py"):
        words = set((folder / source).read_text().replace(".", " ").split())
        assert not {"export", "engines", "tasks", "bench"} & words
    assert len((folder / "predict.py").read_text().splitlines()) < 120
    assert (folder / "labels.txt").read_text().splitlines() == ["ash", "birch", "cedar"]
    assert len(list((folder / "examples").iterdir())) == 15 < EXAMPLES
    assert "as expected" in predicted(folder, "--self-test")
    found = predicted(folder, str(photos / "cedar"), "--json")
    assert len(found) == 22
    best = [rows[0]["label"] for name, rows in found.items() if not name.endswith("deep.png")]
    assert best.count("cedar") > 18
    assert all(sum(row["score"] for row in rows) == pytest.approx(1) for rows in found.values())
    card = (folder / "MODEL_CARD.md").read_text()
    assert "single_stream" in card
    assert "backbone alone" in card
    assert "not tested on" in card


def test_a_changed_folder_is_not_checked_but_named(results: tuple[Path, Path], tmp_path: Path) -> None:
    folder = tmp_path / "camera"
    ship(results, "--cell", "ort", "--to", str(folder))
    (folder / "labels.txt").write_text("oak\nelm\nfir\n")
    with pytest.raises(UserError, match=r"labels\.txt in .* is changed"):
        main(["--check", str(folder)])
    shutil.rmtree(folder / "examples")
    with pytest.raises(UserError, match=r"examples/0001\.png in .* is missing, and \d+ more"):
        main(["--check", str(folder)])
    with pytest.raises(UserError, match="is no shipped folder"):
        main(["--check", str(tmp_path)])


def test_mistakes_are_sentences_and_leave_nothing(results: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"names 2 cells(.|\n)*ort:cpu"):
        ship(results, "--cell", "fp32", "--to", str(tmp_path / "new"))
    with pytest.raises(UserError, match="null:cpu · fp32 cannot be shipped"):
        ship(results, "--cell", "null", "--to", str(tmp_path / "new"))
    with pytest.raises(UserError, match="names no cell"):
        ship(results, "--cell", "resnet18", "--to", str(tmp_path / "new"))
    with pytest.raises(UserError, match="Unknown task with a head to ship 'knn'"):
        ship(results, "--cell", "ort", "--task", "knn", "--to", str(tmp_path / "new"))
    with pytest.raises(UserError, match=r"No ranked cell has latency_p50_ms ≤ 1e-06"):
        ship(results, "--max", "latency_p50_ms=0.000001", "--to", str(tmp_path / "new"))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("")
    with pytest.raises(UserError, match="is there already"):
        ship(results, "--cell", "ort", "--to", str(tmp_path / "full"))
    with pytest.raises(UserError, match="builds only for this machine"):
        ship(results, "--cell", "ort", "--engine", "ort", "--target", "8.6", "--to", str(tmp_path / "new"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full"]


def test_records_alone_cannot_be_shipped(results: tuple[Path, Path], tmp_path: Path) -> None:
    shutil.copytree(results[0] / "records", tmp_path / "copy" / "records")
    with pytest.raises(UserError, match="does not say which sweep wrote it"):
        ship((tmp_path / "copy", results[1]), "--cell", "ort", "--to", str(tmp_path / "new"))


def test_an_engine_without_a_program_is_named(
    results: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engines.base import Engine
    from engines.ort.engine import OrtEngine

    monkeypatch.setattr(OrtEngine, "standalone", Engine.standalone)
    with pytest.raises(CellError, match="has no prediction program"):
        ship(results, "--cell", "ort", "--to", str(tmp_path / "new"))
    assert not list(tmp_path.iterdir())


@pytest.mark.network
def test_the_folder_is_checked_in_an_environment_of_its_own(
    results: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "camera"
    ship(results, "--cell", "ort", "--to", str(folder))
    assert main(["--check", str(folder)]) == 0
    assert "files whole; self-test: " in capsys.readouterr().out

"""``bob race`` on small real things: drawn photographs, tiny networks, a real engine, real child processes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from coloured import draw
from fake_records import Lab
from PIL import Image

from bench import pick, race, run
from bench.records.record import ScoreRecord, read
from export.errors import UserError

MODEL = "test_resnet.r160_in1k"


@pytest.fixture(scope="module")
def arguments(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A race of two networks, of which one sees blue alone, and takes red and green for the same."""
    import torch

    from export.torchvision_ops import import_timm

    folder = tmp_path_factory.mktemp("race")
    torch.manual_seed(3)
    state = import_timm().create_model("test_resnet", num_classes=0).state_dict()
    torch.save(state, folder / "seeing.pth")
    first = next(name for name, tensor in state.items() if tensor.ndim == 4)
    state[first][:, :2] = 0.0
    torch.save(state, folder / "blind.pth")
    rows = [f"- {{name: {name}, timm: {MODEL}, file: {name}.pth}}" for name in ("seeing", "blind")]
    (folder / "zoo.yaml").write_text("\n".join(rows) + "\n")
    what = ["--zoo", str(folder / "zoo.yaml"), "--models", "seeing,blind", "--engines", "ort", "--precisions", "fp32"]
    short = ["--tasks", "knn", "--seconds", "0.05", "--repeats", "1", "--store", str(folder / "store")]
    return [*what, *short, "--data", str(draw(folder / "photos", 3, 40, 80, 80))]


@pytest.mark.network  # the parity gate's photographs come in a package
def test_a_race_ends_in_a_certificate_and_records_that_other_commands_read(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "out")
    assert race.main([*arguments, "--out", out, "--max", "latency_p50_ms=10000", "--json"]) == 0
    text, err = capsys.readouterr()
    found = json.loads(text)
    certificate = found["certificate"]
    assert [one["name"] for one in certificate["left"]] == ["seeing"]
    assert [(one["name"], one["by"]) for one in certificate["eliminated"]] == [("blind", "seeing")]
    assert "out: blind, after" in err
    assert certificate["probability"] == pytest.approx(0.95)
    assert 0 < certificate["images"] < certificate["swept"] == 240
    assert found["pick"]["pick"]["backbone"] == "seeing"
    assert json.loads((tmp_path / "out" / "race.json").read_text("utf-8"))["claim"] == certificate["claim"]
    scores = [r for r in map(read, (tmp_path / "out" / "records").glob("*.json")) if isinstance(r, ScoreRecord)]
    [score] = scores
    assert score.main.value == pytest.approx(certificate["left"][0]["percent"]), "the race's k-NN is the task's"
    assert pick.main([out]) == 0
    assert "Ship seeing" in capsys.readouterr().out

    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "records").glob("*.json")}
    assert race.main([*arguments, "--out", out, "--max", "latency_p50_ms=10000", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["certificate"]["images"] == 0, "resumed: nothing runs again"
    sweep = [word for word in arguments if word != "seeing,blind"]
    sweep.insert(sweep.index("--models") + 1, "seeing")
    assert run.main([*sweep, "--scenarios", "single_stream", "--out", out]) == 0
    assert all(path.stat().st_mtime_ns == then for path, then in before.items()), "bob run finds it done"


@pytest.mark.network
def test_what_stops_a_race_is_said(arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    here = [*arguments, "--out", str(tmp_path / "out")]
    with pytest.raises(UserError, match="No cell has latency_p50_ms") as error:
        race.main([*here, "--max", "latency_p50_ms=0.0001"])
    assert "nearest measured cell has latency_p50_ms" in error.value.why
    assert error.value.remedy.startswith("--max latency_p50_ms=")
    with pytest.raises(UserError, match="too few for one rung") as error:
        race.main([*here, "--minutes", "0.0001", "--out", str(tmp_path / "other")])
    assert "--minutes" in error.value.remedy


def test_a_set_of_masks_is_refused_in_a_race_s_own_words(tmp_path: Path) -> None:
    data = tmp_path / "street"
    for kind in ("images", "masks"):
        (data / kind).mkdir(parents=True)
        for number in range(12):
            shape = (40, 60) if kind == "masks" else (40, 60, 3)
            pixels = np.random.default_rng(number).integers(0, 2, shape, dtype=np.uint8)
            Image.fromarray(pixels).save(data / kind / f"{number}.png")
    what = ["--models", "efficientnet_lite0", "--engines", "ort", "--precisions", "fp32", "--data", str(data)]
    with pytest.raises(UserError, match="A race needs one class an image") as error:
        race.main([*what, "--out", str(tmp_path / "out"), "--store", str(tmp_path / "store")])
    assert "masks" in error.value.what


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--data", "x", "--max", "latncy=3"], "Unknown cost"),
        (["--max", "latency_p50_ms=3"], "needs photographs"),
        (["--data", "x", "--minutes", "0"], "above 0"),
        (["--data", "x", "--tasks", "detection"], "for tasks of classes"),
        (["--replay", "no such folder"], "no results folder"),
    ],
)
def test_a_mistake_is_a_sentence(words: list[str], said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=said):
        race.main([*words, "--out", str(tmp_path / "out"), "--store", str(tmp_path / "store")])


def test_without_weights_nobody_starts(tmp_path: Path) -> None:
    zoo = tmp_path / "zoo.yaml"
    zoo.write_text(f"- {{name: absent, timm: {MODEL}, file: absent.pth}}\n")
    what = ["--zoo", str(zoo), "--models", "absent", "--engines", "ort", "--precisions", "fp32"]
    where = ["--out", str(tmp_path / "out"), "--store", str(tmp_path / "store")]
    with pytest.raises(UserError, match=r"absent\.pth|No backbone has weights"):
        race.main([*what, *where, "--data", str(draw(tmp_path / "photos", 3, 10, 80, 80))])


def test_a_replay_prints_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lab, folder = Lab(n_test=300), tmp_path / "swept" / "records"
    folder.mkdir(parents=True)
    for backbone in lab.backbones:
        for engine in lab.engines:
            lab.score(backbone, engine, "knn").write(folder)
            lab.timing(backbone, engine).write(folder)
    assert race.main(["--replay", str(folder.parent), "--seeds", "3", "--max", "latency_p50_ms=25"]) == 0
    out = capsys.readouterr().out
    assert "knn@drawings" in out
    assert "3 of 3" in out
    assert race.main(["--replay", str(folder.parent), "--seeds", "2", "--json"]) == 0
    [found] = json.loads(capsys.readouterr().out)
    assert len(found["outcomes"]) == 2
    assert 0 < found["image_work"] < 1

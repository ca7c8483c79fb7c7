"""A kit on boards: packed here, run by their Python alone, merged and ranked here. 80 s each, quiet."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from boards import ORIN, ORIN_RAILS, PI4, PI5
from checkpoints import saved
from coloured import draw
from emulated.bed import Board

from bench import rank, run
from bench.boards import results
from bench.kit import main
from bench.records.record import Record, ScoreRecord, TimingRecord, read
from export.parity import compare
from export.spec import Precision

pytestmark = [pytest.mark.slow, pytest.mark.network]
BOARDS = {
    "pi5": ("pi5", PI5, "3.13", "cortex-a76", "Raspberry Pi 5 Model B Rev 1.0"),
    "pi4": ("pi4-bookworm", PI4, "3.11", "cortex-a72", "Raspberry Pi 4 Model B Rev 1.4"),
    "orin": ("py3.11-manylinux_2_36_aarch64", ORIN, "3.11", "cortex-a76", "NVIDIA Jetson AGX Orin Developer Kit"),
}
"""Board → target, files, Python, core, and what it is called."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kits")


@pytest.fixture(scope="module")
def what(place: Path) -> list[str]:
    """A small sweep, in fp32 and INT8, of a network that counts as trained."""
    model = [*saved(place / "mine.pth"), "--data", str(draw(place / "set", each=10))]
    tasks = ["--tasks", "knn", "--preprocess", "pillow", "--batches", "1,4", "--size", "64"]
    short = ["--scenario", "single_stream", "--seconds", "0.05", "--repeats", "1", "--store", str(place / "store")]
    return [*model, "--engine", "ort", "--precisions", "fp32,int8", *tasks, *short]


def brought(name: str, make_board: Callable[..., Board], what: list[str], place: Path) -> Path:
    """The results of a kit on that board, which has no packages."""
    target, files, python, core, _ = BOARDS[name]
    board, kit = make_board(files, python, core, ()), place / name
    assert main(["pack", str(kit), "--target", target, *what]) == 0
    ran = board.run([kit / "kit.pyz", "run"], {"PYTHONPATH": ""})
    assert "3 of 3 networks are measured" in ran.stderr
    return kit / "results" / "results.tar"


def features(file: Path, folder: Path) -> dict[str, np.ndarray]:
    """Precision → what the board emitted for the set."""
    came = results.read(file, folder)
    found = {}
    for network, one in zip(came.kit.networks, came.networks, strict=True):
        assert one.built is not None
        for own in one.built.emitted.values():
            shards = [m for m in (folder / "store" / "features").iterdir() if _is_shard(m, own["features"])]
            [shard] = shards
            found[network.cell.precision] = np.load(shard / "rows.npy")
    return found


def _is_shard(entry: Path, feature_key: str) -> bool:
    from bench.sweep.features import SHARD
    from bench.sweep.keys import shard_key

    return entry.name == shard_key(feature_key, 0, SHARD)


def records(folder: Path) -> list[Record]:
    return [read(path) for path in sorted((folder / "records").glob("*.json"))]


def test_boards_and_this_machine_stand_in_one_table(
    make_board: Callable[..., Board], what: list[str], place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = place / "out"
    assert run.main([*what, "--out", str(out)]) == 0
    here = {r.cell.precision: r for r in records(out) if isinstance(r, ScoreRecord) and r.status == "ok"}
    emitted = {}
    for name in BOARDS:
        file = brought(name, make_board, what, place)
        assert main(["merge", str(file), "--out", str(out), "--store", str(place / "store")]) == 0
        emitted[name] = features(file, place / f"{name} came")
    for precision in ("fp32", "int8"):
        assert np.array_equal(emitted["pi4"][precision], emitted["pi5"][precision]), "A72 and A76 round alike"
        x86 = np.concatenate(
            [np.load(place / "store" / "features" / key / "rows.npy") for key in _shards(here[precision])]
        )
        if precision == "fp32":
            bound = 1e-5 * np.abs(x86).max()
            np.testing.assert_allclose(emitted["pi5"][precision], x86, rtol=0, atol=bound)
        else:
            assert compare(emitted["pi5"][precision], x86, Precision.INT8).cosine_min >= 0.998
    capsys.readouterr()
    assert rank.main([str(out), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    machines = {row["machine"] for row in rows if row["latency_p50_ms"]}
    assert len(machines) == 1 + len(BOARDS)
    for *_, called in BOARDS.values():
        assert any(machine.startswith(called) for machine in machines)
    timed = [r for r in records(out) if isinstance(r, TimingRecord)]
    assert any(r.environment.jetpack and r.environment.power_mode for r in timed)
    shutil.rmtree(place / "store")


def test_the_energy_of_a_jetson_comes_home_with_its_timings(make_board: Callable[..., Board], place: Path) -> None:
    """Its rails stand still at 8.7 W: so many joules a second are in each window, and none beyond the idle power."""
    out, kit, store = place / "metered", place / "metered kit", place / "metered store"
    sweep = [*saved(place / "own.pth"), "--data", str(draw(place / "own", each=10)), "--engine", "ort", "--size", "64"]
    sweep += ["--tasks", "none", "--scenarios", "single_stream", "--preprocess", "pillow", "--batches", "1"]
    sweep += ["--seconds", "10", "--repeats", "1", "--store", str(store)]
    assert main(["pack", str(kit), "--target", BOARDS["orin"][0], *sweep]) == 0
    board = make_board(ORIN | ORIN_RAILS, "3.11", "cortex-a76", ())
    said = board.run([kit / "kit.pyz", "run"], {"PYTHONPATH": ""}).stderr
    assert "energy: VDD_GPU_SOC + VDD_CPU_CV + VIN_SYS_5V0 (INA3221)" in said
    assert main(["merge", str(kit / "results" / "results.tar"), "--out", str(out), "--store", str(store)]) == 0
    timed = [r for r in records(out) if isinstance(r, TimingRecord) and r.energy and r.energy.windows]
    assert timed
    for record in timed:
        assert record.energy is not None
        [window] = record.energy.windows
        assert window.joules == pytest.approx(8.7 * window.seconds, rel=1e-3)
        assert window.idle_w == pytest.approx(8.7, rel=1e-3)
        found = record.metric("energy_mj_per_image")
        assert found is not None
        assert found.value is None
        assert found.note.startswith("VDD_GPU_SOC + VDD_CPU_CV + VIN_SYS_5V0; n/a: ")


def _shards(record: ScoreRecord) -> list[str]:
    from bench.sweep.features import SHARD
    from bench.sweep.keys import shard_key

    return [shard_key(key, 0, SHARD) for key in record.keys.features]

"""Sizes and depths of one network in one sweep: drawn photographs, a tiny network, a real engine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from coloured import draw
from nets import saved

import bench.sweep.features
from bench.measure.machine import environment
from bench.records.record import Record, ScoreRecord, read
from bench.sweep.assembly import assemble
from bench.sweep.desk import Desk
from bench.sweep.pipeline import Tally, run
from bench.sweep.spec import SweepSpec
from export.store import Store

pytestmark = pytest.mark.usefixtures("no_network")

NET, MODULE = "test_efficientnet.r160_in1k", "nets:small"


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw(tmp_path_factory.mktemp("photos") / "set", 2, 10, 60, 70)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return saved(tmp_path_factory.mktemp("weights"), NET, MODULE)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("store"), lambda line: None)


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """With how many plans each pass over images was made."""
    seen: list[int] = []
    streamed = bench.sweep.features._streamed

    def spy(sessions, *rest):  # type: ignore[no-untyped-def]
        seen.append(len(sessions))
        return streamed(sessions, *rest)

    monkeypatch.setattr(bench.sweep.features, "_streamed", spy)
    return seen


Sweep = Callable[..., tuple[Tally, dict[str, Record]]]


@pytest.fixture
def sweep(photos: Path, weights: dict[str, str], store: Store, tmp_path: Path) -> Sweep:
    def ran(*models: str, size: tuple[str, ...] = (), depth: tuple[str, ...] = ()) -> tuple[Tally, dict[str, Record]]:
        spec = SweepSpec(
            models or (NET,),
            ("ort",),
            (str(photos),),
            ("knn",),
            (),
            weights={name: weights[name] for name in models or (NET,)},
            batches=(1, 4),
            threads=1,
            size=size,
            depth=depth,
        )
        desk = Desk(tmp_path / "out", environment())
        tally = run(assemble(spec, store), desk)
        records = [read(path) for path in desk.records.glob("*.json")]
        return tally, {record.cell.network.partition(" · ")[2]: record for record in records}

    return ran


def test_every_size_is_a_cell_one_that_does_not_fit_fails_alone_and_none_is_run_twice(
    sweep: Sweep, passes: list[int]
) -> None:
    tally, first = sweep(size=("20", "64"))
    assert (tally.failed, tally.bugs) == (1, 0)
    refused = first["20x20"].failure
    assert refused is not None
    assert refused.what.endswith("cannot take an input of 20x20.")
    tally, both = sweep(size=("64", "100x64"))
    assert tally.failed == 0
    assert passes == [1, 1], "64x64 was finished"
    assert {name: both[name].about.input for name in ("64x64", "100x64")} == {"64x64": (64, 64), "100x64": (96, 64)}
    assert both["64x64"] == first["64x64"]
    assert len({both[name].keys.onnx for name in ("64x64", "100x64")}) == 2


def test_all_depths_are_read_in_one_pass_and_each_is_judged_on_what_its_own_file_emits(
    sweep: Sweep, passes: list[int]
) -> None:
    tally, found = sweep(size=("96",), depth=("all",))
    assert tally.failed == 0
    assert passes == [6]
    scores = [found[f"96x96 · depth {d}"] for d in range(1, 6)] + [found["96x96"]]
    assert all(isinstance(r, ScoreRecord) and r.parity and r.parity.passed for r in scores)
    assert len({r.keys.plan_content for r in scores}) == 6
    for cost in ("parameters", "gmacs"):
        values = [getattr(r.about, cost) for r in scores]
        assert values == sorted(set(values)), cost
    assert [r.cell.depth for r in scores] == [1, 2, 3, 4, 5, 0]
    tally, more = sweep(size=("96",), depth=("2", "99"))
    assert passes == [6]
    assert more["96x96 · depth 2"] == scores[1]
    deep = more["96x96 · depth 99"].failure
    assert deep is not None
    assert "has no depth 99" in deep.what
    assert deep.why == "It has 5 stages."


def test_a_pass_that_fails_is_left_to_each_cell(sweep: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("no memory for two")

    monkeypatch.setattr("bench.sweep.passes.together", broken)
    tally, found = sweep(size=("128",), depth=("1", "2"))
    assert tally.failed == 0
    assert set(found) == {"128x128 · depth 1", "128x128 · depth 2"}


def test_a_module_without_stages_gets_a_sentence_and_with_all_it_is_run_whole(
    sweep: Sweep, capsys: pytest.CaptureFixture[str]
) -> None:
    tally, found = sweep(MODULE, depth=("1",))
    failure = found["depth 1"].failure
    assert failure is not None
    assert (tally.failed, tally.bugs) == (1, 0)
    assert "cannot be cut at a depth" in failure.what
    tally, found = sweep(MODULE, depth=("all",))
    assert tally.failed == 0
    assert found[""].status == "ok"
    assert "the whole network alone: 'nets:small" in capsys.readouterr().err

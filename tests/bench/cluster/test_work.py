"""The pieces of a sweep, done one after another in this process, give the records of the plain run."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from coloured import draw
from nets import saved

from bench.measure.machine import environment
from bench.sweep.assembly import assemble
from bench.sweep.desk import Desk
from bench.sweep.pipeline import Tally, run
from bench.sweep.spec import SweepSpec
from export.store import Store

pytest.importorskip("ray", reason="Ray is not installed")

from bench.cluster import work
from bench.cluster.deal import Deal
from bench.cluster.drive import Driver
from bench.cluster.pieces import Piece, pieces_of

pytestmark = pytest.mark.usefixtures("no_network")

TINY, NET = "nets:small", "test_resnet.r160_in1k"


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw(tmp_path_factory.mktemp("photos") / "set", 3, 15, 60, 70)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return saved(tmp_path_factory.mktemp("weights"), TINY, NET)


Asked = Callable[..., SweepSpec]


@pytest.fixture
def asked(photos: Path, weights: dict[str, str]) -> Asked:
    def sweep(model: str = TINY, **fields: Any) -> SweepSpec:
        given: dict[str, Any] = {"data": (str(photos),), "tasks": ("knn",), "scenarios": (), "batches": (1, 4)}
        given |= {"weights": {model: weights[model]}, "threads": 1}
        return SweepSpec((model,), ("ort",), **{**given, **fields})

    return sweep


def scores(folder: Path) -> dict[str, dict[str, Any]]:
    """Every score without when and how fast it was made."""
    found = {}
    for path in (folder / "records").glob("*.json"):
        document = json.loads(path.read_text())
        found[path.name] = {k: v for k, v in document.items() if k not in ("started_at", "seconds", "extraction")}
        found[path.name]["environment"].pop("node")
    return found


def dealt(sweep: SweepSpec, store: Path, out: Path) -> tuple[list[Piece], Tally]:
    """Have the pieces of a sweep done here; they, and what failed."""
    opened = Store(store, lambda line: None)
    cells, desk, tally = assemble(sweep, opened), Desk(out, environment()), Tally()
    pieces = pieces_of(cells, desk, [""] * len(cells.cells), tally)
    assert not pieces.trouble
    driver = Driver(cells, desk, None, tally)  # type: ignore[arg-type]  # nothing is submitted
    job, deal = work.Job(json.dumps(asdict(sweep)), str(store)), Deal(pieces.made)
    while piece := deal.next(lambda home: True):
        driver.take(piece, work.do(piece, job))
        deal.done(piece)
    assert deal.left == 0
    return pieces.made, tally


@pytest.mark.parametrize(
    ("model", "fields", "kinds"),
    [
        (TINY, {"tasks": ("knn", "few_shot"), "corruptions": ("fog:3",)}, {"export", "plan", "features", "score"}),
        (NET, {"depth": ("2", "3")}, {"export", "plan", "pass", "score"}),
    ],
    ids=["corruption and shards", "depths"],
)
def test_pieces_done_one_by_one_give_the_plain_runs_records_to_the_last_digit(
    asked: Asked,
    model: str,
    fields: dict[str, Any],
    kinds: set[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bench.sweep.features.SHARD", 16)
    sweep = asked(model, **fields)
    plain = Desk(tmp_path / "plain", environment())
    assert run(assemble(sweep, Store(tmp_path / "one", lambda line: None)), plain).exit_code == 0
    pieces, tally = dealt(sweep, tmp_path / "two", tmp_path / "dealt")
    assert {piece.kind for piece in pieces} == kinds
    assert tally.exit_code == 0
    assert scores(tmp_path / "dealt") == scores(tmp_path / "plain")
    assert len(scores(tmp_path / "plain")) >= 2
    again, _ = dealt(sweep, tmp_path / "two", tmp_path / "dealt")
    assert not again, "what is finished is no piece"


def test_a_plan_that_cannot_be_made_is_a_failure_of_the_piece_and_says_so(
    asked: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = asked()
    cells, desk = assemble(sweep, Store(tmp_path / "store", lambda line: None)), Desk(tmp_path / "out", environment())
    pieces = pieces_of(cells, desk, [""], Tally()).made
    plan = next(piece for piece in pieces if piece.kind == "plan")

    def broken(*_: object) -> None:
        raise ZeroDivisionError("deep inside")

    monkeypatch.setattr("engines.ort.engine.OrtEngine._build", broken)
    answer = work.do(plan, work.Job(json.dumps(asdict(sweep)), str(tmp_path / "store")))
    assert answer.failure is not None
    assert answer.failure.bug
    assert "ZeroDivisionError" in answer.failure.what
    driver = Driver(cells, desk, None, Tally())  # type: ignore[arg-type]
    driver.take(plan, answer)
    assert driver.failed == {0}


def test_a_node_that_would_make_another_plan_than_it_said_makes_none(asked: Asked, tmp_path: Path) -> None:
    piece = Piece(0, "plan", 0, "cell", plan="another key")
    answer = work.do(piece, work.Job(json.dumps(asdict(asked())), str(tmp_path / "store")))
    assert answer.failure is not None
    assert "another plan" in answer.failure.what


def test_a_node_reports_its_engines_its_data_and_whether_it_shares_the_store(asked: Asked, tmp_path: Path) -> None:
    store = Store(tmp_path / "store", lambda line: None)
    sweep = asked()
    store.root.mkdir()
    (store.root / "token").write_text("secret")
    own = work.report(work.Job(json.dumps(asdict(sweep)), str(store.root), ("token", "secret")))
    assert (own.trouble, own.shared) == ("", True)
    assert own.data == tuple(images.digest for images in assemble(sweep, store).data)
    assert own.engines["ort:cpu"].available.ok
    assert not work.report(work.Job(json.dumps(asdict(sweep)), str(store.root), ("token", "other"))).shared
    missing = asdict(sweep) | {"data": [str(tmp_path / "nowhere")]}
    assert "nowhere" in work.report(work.Job(json.dumps(missing), str(store.root))).trouble

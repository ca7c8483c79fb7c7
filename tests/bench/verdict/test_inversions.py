"""Rank inversions: what is certain is listed, what is luck is only counted."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_records import FAR, ODD, Lab

from bench.inversions import main
from bench.records.record import Record, ScoreRecord
from bench.records.results import Results
from bench.verdict.inversions import orders
from bench.verdict.table import rows
from export.errors import UserError

LAB = Lab(engines={"made:eager": 1.0, "ort:cpu": 0.5}, reference="made:eager", n_test=400)


def score(backbone: str, engine: str, right: Any, lab: Lab = LAB) -> ScoreRecord:
    """A k-NN score of which ``right`` [n] says which test images were right."""
    record = lab.score(backbone, engine, "knn")
    per_sample = 100.0 * np.asarray(right, float)
    main = replace(record.metrics[0], value=float(per_sample.mean()))
    return replace(record, metrics=(main, *record.metrics[1:]), per_sample=per_sample.tolist())


def rights(percent: float, seed: int = 0) -> Any:
    """That share of 400, of which any other is a part or the whole, so that differences are certain."""
    order = np.random.default_rng(seed).permutation(400)
    return order < percent * 4


def written(folder: Path, *records: Record) -> Path:
    for record in records:
        record.write(folder / "records")
    return folder


def found(*records: Record) -> Any:
    return orders(rows(Results(tuple(records)))[0])


def test_a_certain_inversion_is_listed() -> None:
    [order] = found(
        score("made_up_large", "made:eager", rights(90)),
        score("made_up_base", "made:eager", rights(70)),
        score("made_up_large", "ort:cpu", rights(60)),
        score("made_up_base", "ort:cpu", rights(80)),
    )
    assert (order.result, order.deployed, order.backbones) == ("knn@drawings", "ort:cpu fp32", 2)
    assert order.tau == -1
    assert order.swapped == 1
    [pair] = order.inverted
    assert (pair.ahead, pair.behind) == ("made_up_large", "made_up_base")
    assert (pair.before, pair.after) == (pytest.approx(20), pytest.approx(-20))


def test_the_luck_of_the_training_draws_counts_as_luck() -> None:
    """As in the certain case, but the draws of training images differ by more than the backbones do."""

    def drawn(record: ScoreRecord, moves: list[float]) -> Record:
        return replace(record, per_draw=[(record.metrics[0].value or 0) + m for m in moves])

    [order] = found(
        drawn(score("made_up_large", "made:eager", rights(90)), [-40, 0, 40]),
        drawn(score("made_up_base", "made:eager", rights(70)), [40, 0, -40]),
        drawn(score("made_up_large", "ort:cpu", rights(60)), [0, 0, 0]),
        drawn(score("made_up_base", "ort:cpu", rights(80)), [0, 0, 0]),
    )
    assert (order.swapped, order.inverted) == (1, ())


def test_luck_is_counted_and_not_listed() -> None:
    """One image's difference each way, on images of their own."""
    one, other = np.ones(400), np.ones(400)
    one[:9], other[10:20] = 0, 0
    [order] = found(
        score("made_up_large", "made:eager", one),
        score("made_up_base", "made:eager", other),
        score("made_up_large", "ort:cpu", other),
        score("made_up_base", "ort:cpu", one),
    )
    assert (order.swapped, order.inverted) == (1, ())


def test_the_same_order_has_a_tau_of_one() -> None:
    percents = {"made_up_large": 90, "made_up_base": 70, "made_up_tiny": 40}
    [order] = found(
        *(score(name, "made:eager", rights(p)) for name, p in percents.items()),
        *(score(name, "ort:cpu", rights(p - 5)) for name, p in percents.items()),
    )
    assert (order.backbones, order.tau, order.swapped) == (3, 1, 0)


def test_a_cell_that_failed_parity_is_left_out() -> None:
    records = [score(name, engine, rights(50)) for name in ("made_up_large", "made_up_base") for engine in LAB.engines]
    assert len(found(*records)) == 1
    assert found(*(replace(r, parity=FAR) if r.cell.engine == "ort:cpu" else r for r in records)) == []


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = LAB.write(tmp_path / "all")
    assert main([str(folder)]) == 0
    text = capsys.readouterr().out
    assert "| knn@drawings | ort:cpu fp32 | 5 | 1.00 | 0 | none |" in text
    main([str(folder), "--json"])
    assert len(json.loads(capsys.readouterr().out)) == 3


def test_a_data_set_is_one_whatever_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lab = replace(LAB, data=ODD)
    [order] = found(
        score("made_up_large", "made:eager", rights(90), lab),
        score("made_up_base", "made:eager", rights(70), lab),
        score("made_up_large", "ort:cpu", rights(60), lab),
        score("made_up_base", "ort:cpu", rights(80), lab),
    )
    assert (order.result, order.backbones, len(order.inverted)) == (f"knn@{ODD}", 2, 1)
    assert main([str(lab.write(tmp_path))]) == 0
    assert "| knn@a→b\\|c@d | ort:cpu fp32 | 5 | 1.00 | 0 | none |" in capsys.readouterr().out


def test_the_reference_is_a_field_of_the_cell_and_not_its_engine_s_name() -> None:
    lab = replace(LAB, engines={"my:eager": 1.0, "plain:cpu": 0.5}, reference="plain:cpu")
    records = [score(b, e, rights(50), lab) for b in ("made_up_large", "made_up_base") for e in lab.engines]
    [order] = found(*records)
    assert order.deployed == "my:eager fp32"


def test_without_a_reference_there_is_a_sentence(tmp_path: Path) -> None:
    folder = written(tmp_path, LAB.score("made_up_large", "ort:cpu", "knn"))
    with pytest.raises(UserError, match="an eager engine"):
        main([str(folder)])
    with pytest.raises(UserError, match="no:such"):
        main([str(folder), "--reference", "no:such"])

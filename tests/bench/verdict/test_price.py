"""Columns of money, from made-up rates."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fake_records import Lab
from hypothesis import given
from hypothesis import strategies as st

from bench.pick import main as pick
from bench.rank import main as rank
from bench.records.record import Record
from bench.records.results import Results
from bench.report.page import page
from bench.verdict.money import Load, Price
from bench.verdict.price import PER_MILLION_OFFLINE, per_million, priced, replicas
from bench.verdict.ranking import Ranking
from bench.verdict.sheet import Sheet
from bench.verdict.table import rows, sheet
from export.errors import UserError
from export.spec import Metric

RATES: dict[str, float | None] = {
    "made_up_large": 20.0,
    "made_up_base": 60.0,
    "made_up_small": 150.0,
    "made_up_tiny": None,
    "made_up_poor": 10.0,
}
SMALL = Lab(engines={"ort:cpu": 1.0})


def served(lab: Lab = SMALL, slo: str = "p99=50ms") -> list[Record]:
    """The records of a lab, each backbone also with the highest rate within a bound."""
    found = lab.records()
    for backbone, rate in RATES.items():
        record = lab.timing(backbone, "ort:cpu", "server")
        subject = replace(record.subject, settings={"slo": slo, "queue_ms": 0.0})
        found.append(
            replace(
                record, subject=subject, metrics=(Metric.gain("server_images_per_s", rate, "images/s", note="why"),)
            )
        )
    return found


def sheet_for(records: list[Record], prices: list[Price], load: Load | None = None, by_machine: bool = False) -> Sheet:
    found, notes = rows(Results(tuple(records)), by_machine)
    return priced(sheet(found, notes), found, prices, load)


def by_backbone(made: Sheet, name: str) -> dict[str, float]:
    values = made.cost(name)[1]
    return {str(label["backbone"]): float(values[row]) for row, label in enumerate(made.labels)}


def test_a_million_images_by_hand() -> None:
    # 100 images a second are 360,000 an hour; a million take 2.777… hours
    assert per_million(3.6, 100) == pytest.approx(10)
    made = sheet_for(served(), [Price(3.6, "EUR")])
    at_bound = by_backbone(made, "cost_per_million")
    assert at_bound["made_up_large"] == pytest.approx(50)
    assert at_bound["made_up_base"] == pytest.approx(3.6 / 3600 / 60 * 1e6)
    assert math.isnan(at_bound["made_up_tiny"]), "no rate keeps the bound"
    assert made.cost("cost_per_million")[0].unit == "EUR"
    rate = by_backbone(made, "throughput_images_per_s")["made_up_tiny"]
    assert by_backbone(made, PER_MILLION_OFFLINE)["made_up_tiny"] == pytest.approx(1000 / rate)


@given(load=st.floats(0.01, 1e6), rate=st.floats(0.01, 1e5))
def test_replicas_are_enough_and_one_fewer_is_not(load: float, rate: float) -> None:
    count = replicas(load, rate)
    assert count >= 1
    assert count == int(count)
    assert count * rate >= load * (1 - 1e-9)
    assert count == 1 or (count - 1) * rate < load * (1 + 1e-9)


def test_a_load_that_fills_its_machines_needs_no_more() -> None:
    assert replicas(500, 100) == 5
    assert replicas(0.3, 0.1) == 3  # 0.3 / 0.1 is a little less than 3, and 0.7 / 0.1 may be a little more
    assert replicas(500.1, 100) == 6
    assert math.isnan(replicas(500, math.nan))


def test_a_load_gives_machines_and_what_they_have_left() -> None:
    made = sheet_for(served(), [Price(2.0, "EUR")], Load(100))
    assert by_backbone(made, "replicas")["made_up_base"] == 2
    assert by_backbone(made, "headroom_percent")["made_up_base"] == pytest.approx(100 * (1 - 100 / 120))
    assert by_backbone(made, "cost_per_h")["made_up_base"] == 4
    assert Ranking(made).default_cost() == "cost_per_h"
    without = sheet_for(served(), [], Load(100))
    assert [c.name for c in without.costs if c.priced] == ["replicas", "headroom_percent"]


def test_the_foot_says_what_the_columns_are_of() -> None:
    price = Price(3.6, "EUR", "", "2026-11-01", "a list")
    text = " ".join(sheet_for(served(slo="p90=20ms"), [price], Load(100)).money)
    assert "Price: 3.6 EUR/h (2026-11-01, a list)." in text
    assert "at the highest rate with p90=20ms" in text
    assert "100 images/s" in text
    none = [replace(r, metrics=()) if r.subject.name == "server" else r for r in served()]
    assert "need scenario server" in " ".join(sheet_for(none, [price]).money)


def test_where_no_cell_keeps_the_bound_full_throughput_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    for backbone in RATES:
        monkeypatch.setitem(RATES, backbone, None)
    made = sheet_for(served(), [Price(3.6)], Load(100))
    assert [c.name for c in made.costs if c.priced] == [PER_MILLION_OFFLINE]
    assert "No cell keeps p99=50ms at any rate that was tried" in " ".join(made.money)
    assert Ranking(made).default_cost() == PER_MILLION_OFFLINE


def test_machines_have_prices_of_their_own_and_compare_in_money() -> None:
    other = replace(SMALL, machine="made-up-b")
    prices = [Price(3.6, "EUR", "made-up-a"), Price(36.0, "EUR", "made-up-b")]
    made = sheet_for([*served(), *served(other)], prices, by_machine=True)
    values = made.cost("cost_per_million")[1]
    on = [str(label["machine"]) for label in made.labels]
    for row, label in enumerate(made.labels):
        if label["backbone"] == "made_up_large" and made.status[row] == "ok":
            assert values[row] == pytest.approx(50 if on[row].endswith("a") else 500)
    front = {on[row] for row in Ranking(made).front("cost_per_million")}
    assert all(name.endswith("made-up-a") for name in front), "the dearer machine is never on the front"
    half = sheet_for([*served(), *served(other)], prices[:1], by_machine=True)
    assert "No price is given for Imaginary CPU made-up-b." in half.money
    with pytest.raises(UserError, match="None of the machines has a price"):
        sheet_for(served(), [Price(1, machine="elsewhere")])


def test_without_any_rate_there_is_nothing_to_price() -> None:
    latency = [r for r in SMALL.records() if r.subject.name not in ("offline", "server")]
    with pytest.raises(UserError, match=r"no rate that a price or a load can be put on\.\n.*\nTry: bob run"):
        sheet_for(latency, [Price(1)])


def test_the_baseline_is_no_reason_for_a_column() -> None:
    """It computes nothing and keeps every bound."""
    null = replace(SMALL, engines={"null:cpu": 0.001})
    idle = replace(
        null.timing("made_up_base", "null:cpu", "server"),
        metrics=(Metric.gain("server_images_per_s", 1e4, "images/s"),),
    )
    made = sheet_for([*SMALL.records(), idle], [Price(1)])
    assert "cost_per_million" not in [c.name for c in made.costs]


@pytest.fixture
def folder(tmp_path: Path) -> str:
    for record in served():
        replace(record, key=record.key.replace(" ", "-").replace(":", "-")).write(tmp_path / "records")
    return str(tmp_path)


def test_rank_shows_money_first_and_says_the_price(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    given = [folder, "--price", "3.6 EUR/h", "--load", "100/s"]
    assert rank(given) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 120
    for word in ("replicas", "headroom", "million", "EUR", "Price: 3.6 EUR/h."):
        assert word in text
    assert "--price '3.6 EUR/h' --load 100/s --all" in " ".join(text.split())
    assert rank([*given, "--all", "--by", "cost_per_million"]) == 0
    assert "● is on the Pareto front of z against cost_per_h" in capsys.readouterr().out
    assert rank([*given, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    [base] = [row for row in found["rows"] if row["backbone"] == "made_up_base"]
    assert base["replicas"] == 2
    assert base["cost_per_million"] == pytest.approx(16.6667, rel=1e-4)
    assert any(line.startswith("Price: ") for line in found["foot"])


def test_a_budget_takes_money_as_any_cost(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    given = [folder, "--price", "3.6 EUR/h"]
    assert pick([*given, "--max", "cost_per_million=20"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("Ship made_up_base · ort:cpu · fp32: cost per million 16.7 EUR")
    assert "cost_per_million ≤ 20 is binding" in text or "cost_per_million ≤ 20 is not binding" in text
    assert "Price: 3.6 EUR/h." in text
    assert pick([*given, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["cost"] == "cost_per_million"
    with pytest.raises(UserError, match="cost_per_million ≤ 1"):
        pick([*given, "--max", "cost_per_million=1"])


def test_the_page_has_a_slider_for_money() -> None:
    text = page(Results(tuple(served())), "", [Price(3.6, "EUR")])
    assert "cost_per_million" in text
    assert "Price: 3.6 EUR/h." in text
    assert "cost_per_million" not in page(Results(tuple(served())))


def test_a_table_from_elsewhere_has_no_machines(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("backbone,birds\none,1\ntwo,2\n")
    with pytest.raises(UserError, match="--price and --load are for records"):
        rank(["--table", str(table), "--price", "1/h"])


def test_values_of_what_is_not_priced_stay() -> None:
    found, notes = rows(Results(tuple(served())), False)
    before = sheet(found, notes)
    made = priced(before, found, [Price(1)])
    np.testing.assert_array_equal(made.cost_values[:, : len(before.costs)], before.cost_values)

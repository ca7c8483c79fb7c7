"""From which load which machine is cheaper, against every load on a grid."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from fake_records import Lab
from hypothesis import given
from hypothesis import strategies as st

from bench.compare import main
from bench.verdict.break_even import Offer, break_even, sentence
from export.errors import UserError
from export.spec import Metric

SMALL, LARGE = Offer(0.05, 40.0), Offer(0.526, 900.0)


def test_a_small_machine_against_a_large_one_by_hand() -> None:
    """Eleven small ones cost 0.55, more than a large one; ten serve 400. The large one's second costs 1.052, as much
    as 21.04 small ones: 21 of them serve 840, which one large one serves as well."""
    found = break_even(SMALL, LARGE)
    assert (found.cheaper, found.first, found.settled) == (1, 400.0, 400.0)
    text = sentence(("the board", "the server"), (SMALL, LARGE), "USD")
    assert text.startswith("the server costs less above 400 images/s (1,051 million a month), the board below 400: at")
    assert "0.162 USD against 0.347 USD a million images" in text


def test_between_two_loads_they_may_change_places() -> None:
    one, other = Offer(1.0, 10.0), Offer(2.5, 26.0)
    found = break_even(one, other)
    assert found.cheaper == 1
    assert found.first < found.settled
    assert "in between they change places" in sentence(("a", "b"), (one, other))


def test_what_is_never_dearer_and_what_costs_the_same() -> None:
    assert break_even(Offer(1.0, 10.0), Offer(1.0, 20.0)).settled == 0
    assert "b never costs more than a" in sentence(("a", "b"), (Offer(1.0, 10.0), Offer(1.0, 20.0)))
    assert break_even(Offer(1.0, 10.0), Offer(2.0, 20.0)).cheaper is None
    assert "cost the same" in sentence(("a", "b"), (Offer(1.0, 10.0), Offer(2.0, 20.0)))


@given(
    prices=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    rates=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    fraction=st.sampled_from([1.0, 0.5, 0.25]),
)
def test_no_load_on_a_grid_says_otherwise(prices: tuple[int, int], rates: tuple[int, int], fraction: float) -> None:
    offers = [Offer(float(p), float(r)) for p, r in zip(prices, rates, strict=True)]
    found = break_even(offers[0], offers[1])
    if found.cheaper is None:
        assert prices[0] * rates[1] == prices[1] * rates[0]
        return
    winner, loser = offers[found.cheaper], offers[1 - found.cheaper]
    loads = [fraction * step for step in range(1, 1200)]
    dearer = [load for load in loads if winner.cost_per_h(load) > loser.cost_per_h(load)]
    cheaper = [load for load in loads if winner.cost_per_h(load) < loser.cost_per_h(load)]
    assert max(dearer, default=0.0) <= found.settled
    assert min(cheaper, default=float("inf")) > found.first
    if found.settled < loads[-1]:
        assert found.settled == 0 or found.settled in dearer, "it is dearer at that very load"
    if found.first + fraction < loads[-1]:
        assert winner.cost_per_h(found.first + 1e-6) < loser.cost_per_h(found.first + 1e-6)


def folder(place: Path, lab: Lab, rate: float | None, slo: str = "p99=50ms") -> str:
    record = lab.timing("made_up_base", "ort:cpu", "server")
    record = replace(
        record,
        subject=replace(record.subject, settings={"slo": slo}),
        metrics=(Metric.gain("server_images_per_s", rate, "images/s"),),
    )
    record.write(place / "records")
    return str(place)


def test_compare_says_from_which_load_the_other_machine_is_cheaper(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, after = folder(tmp_path / "a", Lab(), 40.0), folder(tmp_path / "b", Lab(machine="made-up-b"), 900.0)
    given = [before, after, "--price", "0.05 USD/h", "--price", "0.526 USD/h"]
    assert main(given) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "made_up_base · ort:cpu · fp32 after costs less above 400 images/s" in text
    assert main([*given, "--json"]) == 0
    [found] = json.loads(capsys.readouterr().out)["break_even"]
    assert (found["cheaper"], found["settled"], found["before"]["images_per_s"]) == ("after", 400, 40)


def test_what_cannot_be_compared_in_money_is_a_sentence(tmp_path: Path) -> None:
    before, after = folder(tmp_path / "a", Lab(), 40.0), folder(tmp_path / "b", Lab(), 900.0)
    price = ["--price", "1/h"]
    with pytest.raises(UserError, match="There are 3 prices and two folders"):
        main([before, after, *price, *price, *price])
    with pytest.raises(UserError, match="several currencies"):
        main([before, after, *price, "--price", "1 USD/h"])
    with pytest.raises(UserError, match="No cell of both folders has a rate"):
        main([before, folder(tmp_path / "c", Lab(), None), *price])
    with pytest.raises(UserError, match=r"keep different bounds\.\np90=20ms and p99=50ms"):
        main([before, folder(tmp_path / "d", Lab(), 9.0, "p90=20ms"), *price])
    file = tmp_path / "prices.yaml"
    file.write_text("- {machine: elsewhere, price: 1/h, date: 2026-11-01}")
    with pytest.raises(UserError, match="No price is given for Imaginary CPU made-up-a"):
        main([before, after, "--price", str(file)])

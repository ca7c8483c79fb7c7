"""What cells cost before they run: measured, predicted, or unknown."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from fake_records import Lab
from hypothesis import given
from hypothesis import strategies as st

from bench.racing import sizes as zoo
from bench.racing.costs import (
    Budget,
    Measured,
    Prediction,
    Predictor,
    arm_of,
    grown,
    holds,
    measured,
    scenarios_for,
    worth_scoring,
)
from bench.racing.nearest import nothing_within
from bench.racing.sizes import Growth, Size
from bench.records.parts import Cell, Monitoring
from bench.records.results import PUBLISHED, Results
from bench.verdict.picking import Limit
from export.errors import UserError

LATENCY = Limit.parse("latency_p50_ms=20")


def made(count: int, noise: float = 0.0, seed: int = 0) -> list[Measured]:
    """Networks whose latency is a power of their GMACs, on two engines of which one is twice as fast."""
    random = np.random.default_rng(seed)
    found = []
    for number in range(count):
        gmacs = float(np.exp(random.uniform(-1, 3)))
        for engine, factor in (("ort:cpu", 10.0), ("openvino:cpu", 5.0)):
            cell = Cell(f"net{number}", engine, "fp32", "cpu", (1, 8), 2)
            cost = factor * gmacs**0.8 * float(np.exp(noise * random.normal()))
            found.append(Measured(cell, {"latency_p50_ms": cost}, Size(gmacs, gmacs * 6, 224 * 224)))
    return found


def test_a_cost_is_predicted_for_a_network_that_was_never_opened() -> None:
    predictor = Predictor(made(12), "latency_p50_ms")
    slow, fast = (predictor.predict(Size(4.0, 24.0, 224 * 224), (e, "fp32")) for e in ("ort:cpu", "openvino:cpu"))
    assert slow
    assert fast
    assert slow.value == pytest.approx(10 * 4**0.8, rel=0.1)
    assert slow.value / fast.value == pytest.approx(2, rel=0.1)
    assert slow.low < slow.value < slow.high
    assert 1 <= predictor.error < 1.2


def test_the_interval_holds_for_most_networks() -> None:
    known = made(20, noise=0.3)
    low = 0
    for m in known:
        rest = [other for other in known if other.cell.backbone != m.cell.backbone]
        assert m.size
        found = Predictor(rest, "latency_p50_ms").predict(m.size, (m.cell.engine, m.cell.precision))
        assert found
        low += m.costs["latency_p50_ms"] < found.low
    assert low <= 0.1 * len(known), "one side is wrong for one network in twenty"


def test_too_few_backbones_or_another_engine_predict_nothing() -> None:
    assert Predictor(made(4), "latency_p50_ms").predict(Size(4.0, 24.0, 50176), ("ort:cpu", "fp32")) is None
    assert Predictor(made(9), "latency_p50_ms").predict(Size(4.0, 24.0, 50176), ("ort:cpu", "int8")) is None
    budget = Budget((LATENCY,), tuple(made(4)), {"huge": Size(500.0, 900.0, 10**6)})
    assert budget.outlook(Cell("huge", "ort:cpu", "fp32", "cpu", (1, 8), 2)).standing == "open"
    assert any("nothing is dropped" in line for line in budget.remarks())


def test_a_budget_knows_what_was_measured_what_is_predicted_and_what_is_open() -> None:
    known = tuple(made(12, noise=0.1))
    budget = Budget((LATENCY,), known, {"huge": Size(500.0, 900.0, 10**6), "tiny": Size(0.05, 1.0, 50176)})

    def look(name: str, engine: str = "ort:cpu") -> tuple[str, bool]:
        found = budget.outlook(Cell(name, engine, "fp32", "cpu", (1, 8), 2))
        return found.standing, found.predicted

    for m in known:
        expected = "within" if m.costs["latency_p50_ms"] <= 20 else "beyond"
        assert look(m.cell.backbone, m.cell.engine) == (expected, False)
    assert look("huge") == ("beyond", True)
    assert look("tiny")[0] == "within"
    assert look("unheard_of")[0] == "open"
    at_other_size = Cell("huge", "ort:cpu", "fp32", "cpu", (1, 8), 2, size="64x64")
    assert budget.outlook(at_other_size).standing == "open", "the zoo's size is of its own input"
    own = Budget((Limit.parse("gmacs=100"),), (), {"huge": Size(500.0, 900.0, 10**6)})
    assert own.outlook(Cell("huge", "ort:cpu", "fp32", "cpu", (1, 8), 2)).standing == "beyond"


def test_a_network_at_another_size_is_predicted_from_how_it_grows() -> None:
    huge, even = Growth(32, 0.0, 9000.0, 0.0, 0.0), Growth(32, 0.0, 40.0, 0.0, 0.0)
    sizes = {"huge": Size(9000 * 0.050176, 90.0, 50176, huge), "even": Size(40 * 0.050176, 12.0, 50176, even)}
    budget = Budget((LATENCY,), tuple(made(12, noise=0.1)), sizes)

    def look(name: str, size: str) -> str:
        return budget.outlook(Cell(name, "ort:cpu", "fp32", "cpu", (1, 8), 2, size=size)).standing

    assert look("huge", "448x448") == look("huge", "224x224") == "beyond"
    assert [look("even", size) for size in ("64x64", "448x448")] == ["within", "beyond"]
    assert look("huge", "16x16") == "open", "smaller than its largest stride"
    deep = Cell("huge", "ort:cpu", "fp32", "cpu", (1, 8), 2, size="448x448", depth=3)
    assert budget.outlook(deep).standing == "open", "of a network that is cut nothing is known"


def test_gmacs_that_may_be_off_drop_only_what_breaks_a_limit_at_both_ends() -> None:
    growth = Growth(32, 0.0, 100.0, 0.0, 0.1)  # at 448x448: 20.1 within 22 %
    sizes = {"net": Size(5.0176, 20.0, 50176, growth)}
    cell = Cell("net", "ort:cpu", "fp32", "cpu", (1, 8), 2, size="448x448")
    standings = [Budget((Limit.parse(f"gmacs={limit}"),), (), sizes).outlook(cell).standing for limit in (15, 18, 25)]
    assert standings == ["beyond", "open", "within"]
    assert Budget((Limit.parse("parameters_m=19"),), (), sizes).outlook(cell).standing == "beyond"


@pytest.mark.parametrize("column", ["latency_p50_ms", "throughput_images_per_s", "peak_memory_mib"])
def test_the_further_an_input_the_wider_the_interval(column: str) -> None:
    base = Prediction(10.0, 8.0, 12.0)
    for sides in ((1.0, 2.0, 4.0), (1.0, 0.5, 0.25)):
        found = [grown(base, column, ratio, 0.02) for ratio in sides]
        spans = [one.high / one.low for one in found]
        assert spans == sorted(spans)
        assert base.high / base.low < spans[0]
        assert all(one.low < one.value < one.high for one in found)
    more, less = grown(base, column, 4.0, 0.0), grown(base, column, 0.25, 0.0)
    assert (more.value > less.value) == (column != "throughput_images_per_s")


def test_no_network_is_dropped_at_a_size_that_its_measured_cost_allows() -> None:
    """Measured at 224 to 260 pixels and at 352x480: the latter is left out, and then the whole network."""
    own, pairs = (
        measured(Results.load(Path(file)).records, "b193dd9d") for file in (PUBLISHED, "docs/dense/camvid.xz")
    )
    checked = 0
    for m in pairs:
        cell = replace(m.cell, resize="", batches=(1, 8))
        if m.cell.backbone not in zoo.known() or m.cell.precision != "fp32":
            continue
        for unmeasured in ((), (m.cell.backbone,)):
            for column in ("latency_p50_ms", "peak_memory_mib"):
                limit = Limit.parse(f"{column}={m.costs[column]}")
                budget = Budget((limit,), tuple(own), zoo.known(), frozenset(unmeasured))
                assert budget.outlook(cell).standing != "beyond", (cell, column)
                third = Limit.parse(f"{column}={m.costs[column] / 30}")
                checked += Budget((third,), tuple(own), zoo.known()).outlook(cell).standing == "beyond"
    assert checked >= 20, "and one of a thirtieth of that drops it"


def test_the_newest_timing_of_this_machine_counts() -> None:
    lab = Lab()
    old, new = lab.timing("made_up_base", "ort:cpu"), replace(lab, day="2026-02-01").timing("made_up_base", "ort:cpu")
    new = replace(new, metrics=(replace(new.metrics[0], value=99.0), *new.metrics[1:]))
    [found] = measured([new, old], lab.machine)
    assert found.costs["latency_p50_ms"] == 99.0
    assert found.size == Size(1.5, 25.0, 224 * 224)
    assert not measured([new, old], "another")
    busy = replace(new, monitoring=[Monitoring(0.5, disturbed=True)])
    [found] = measured([busy, old], lab.machine)
    assert found.costs["latency_p50_ms"] == old.main.value, "other processes disturbed the newest"
    nothing = replace(new, cell=replace(new.cell, engine="null:cpu"))
    assert not measured([nothing], lab.machine), "the baseline computes nothing"


def test_an_arm_is_the_same_in_a_record_that_lacks_a_field() -> None:
    now = Cell("a", "ort:cpu", "int8", "cpu", (1, 8), 2, weights="w")
    before = msgspec.to_builtins(now)
    del before["size"]
    earlier = msgspec.convert(before, Cell)
    assert arm_of(earlier) == arm_of(replace(now, engine="openvino:cpu", precision="fp32", threads=4))
    assert arm_of(now) != arm_of(replace(now, size="128x128"))


KINDS = [(engine, precision) for engine in ("ort:cpu", "openvino:cpu") for precision in ("fp32", "bf16", "int8")]


@given(st.dictionaries(st.sampled_from(KINDS), st.one_of(st.none(), st.integers(1, 5)), min_size=1))
def test_the_cheapest_cell_of_each_precision_that_is_worth_it_is_scored(cells: dict[tuple[str, str], float]) -> None:
    found = worth_scoring(cells)
    known = {kind: cost for kind, cost in cells.items() if cost is not None}
    assert cells.keys() - known.keys() <= found, "an unknown cost decides nothing"
    if known:
        assert min(known.values()) in {known[kind] for kind in found & known.keys()}
    precise = {kind: cost for kind, cost in known.items() if kind[1] == "fp32"}
    for kind in found & known.keys():
        assert not any(cost < known[kind] for other, cost in precise.items() if other != kind)


@pytest.mark.parametrize(
    ("text", "least", "said"),
    [("latncy_p50_ms=20", False, "Unknown cost"), ("latency_p50_ms=20", True, "lower is better")],
)
def test_a_limit_that_is_none_is_refused(text: str, least: bool, said: str) -> None:
    with pytest.raises(UserError, match=said):
        scenarios_for([Limit.parse(text, least)])


def test_a_budget_says_which_scenarios_are_timed() -> None:
    assert scenarios_for([]) == ("single_stream",)
    rate = Limit.parse("throughput_images_per_s=100", least=True)
    assert scenarios_for([LATENCY, rate]) == ("single_stream", "offline")
    assert holds([LATENCY], {"latency_p50_ms": 19.0})
    assert holds([LATENCY], {}) is None


def test_a_budget_that_nothing_meets_says_how_near_the_nearest_came() -> None:
    error = nothing_within([LATENCY], [{"latency_p50_ms": 31.0}, {"latency_p50_ms": 24.0}])
    assert "latency_p50_ms ≤ 20" in error.what
    assert "24.0" in error.why
    assert error.remedy == "--max latency_p50_ms=24.2"

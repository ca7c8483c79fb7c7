"""Whose plans a cell has, where nodes differ."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.cluster.nodes import Has, Node, Report, choose_homes
from bench.records.parts import Environment
from bench.sweep.assembly import Assembly
from bench.sweep.cells import Planned
from bench.sweep.spec import SweepSpec
from engines.base import Availability
from engines.catalog import engine
from export.errors import Unavailable
from export.spec import Precision
from export.store import Store
from export.zoo.backbones import resolve


def node(name: str, version: str, machine: str = "other", cpus: float = 4, ok: bool = True) -> Node:
    has = Has(Availability(ok, "" if ok else "it is not installed"), {"version": version})
    report = Report(Environment(id=machine), "1", {}, engines={"ort:cpu": has}, first="ort:cpu" if ok else "")
    return Node(name, name, "10.0.0.1", cpus, 0, report)


def cells(store: Store, count: int, scenarios: tuple[str, ...] = ()) -> Assembly:
    sweep = SweepSpec(("mobilenetv2",), ("ort",), ("photos",), ("knn",), scenarios)
    ort = engine("ort")
    one = Planned(resolve("mobilenetv2"), ort, Availability(True), Precision.FP32, sweep, store, first=ort)
    named = [replace(one, backbone=replace(one.backbone, name=f"backbone {n}")) for n in range(count)]
    return Assembly(tuple(named), ())


def test_nodes_that_say_the_same_of_an_engine_are_one_home_and_their_keys_count(store: Store) -> None:
    nodes = [node("a", "9.9"), node("b", "9.9")]
    asked, homes = choose_homes(cells(store, 1), nodes, "here")
    [home], [planned] = homes, asked.cells
    assert home
    assert {one.report.home(planned) for one in nodes} == {home}
    assert planned.engine.plan_key("x", planned.profile) != engine("ort").plan_key("x", planned.profile)
    with pytest.raises(Unavailable, match="another machine's"):
        planned.engine.load(None)  # type: ignore[arg-type]


def test_what_is_not_timed_is_shared_out_among_homes_by_their_cores(store: Store) -> None:
    nodes = [node("old", "1", cpus=8), node("new", "2", cpus=24)]
    asked, homes = choose_homes(cells(store, 200), nodes, "here")
    new = nodes[1].report.home(asked.cells[0])
    assert set(homes) == {one.report.home(asked.cells[0]) for one in nodes}
    assert 120 < homes.count(new) < 180
    again, same = choose_homes(cells(store, 200), nodes, "here")
    assert same == homes
    assert len(again.cells) == 200


def test_what_is_finished_under_a_home_stays_there(store: Store) -> None:
    nodes = [node("old", "1"), node("new", "2")]
    old = nodes[0].report.home(cells(store, 1).cells[0])

    def finished(planned: Planned) -> int:
        return int(planned.engine.identity() == {"version": "1"})

    _, homes = choose_homes(cells(store, 20), nodes, "here", finished)
    assert set(homes) == {old}


def test_what_is_timed_is_at_home_on_this_machine(store: Store) -> None:
    nodes = [node("large", "1", cpus=64), node("own", "2", machine="here", cpus=2)]
    asked, homes = choose_homes(cells(store, 20, ("single_stream",)), nodes, "here")
    assert set(homes) == {nodes[1].report.home(asked.cells[0])}


def test_a_cell_that_no_node_runs_has_no_home_and_says_why(store: Store) -> None:
    asked, homes = choose_homes(cells(store, 1), [node("a", "1", ok=False)], "here")
    assert homes == [""]
    assert asked.cells[0].availability.reason == "it is not installed"

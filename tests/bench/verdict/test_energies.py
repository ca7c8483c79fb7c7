"""Energies in tables: one domain a column, the reason once, and no column where nobody read anything."""

from __future__ import annotations

from dataclasses import replace

from fake_records import SMALL

from bench.records.energy import Energy, EnergyWindow
from bench.records.record import Record, TimingRecord
from bench.records.results import Results
from bench.verdict.ranking import Ranking
from bench.verdict.show import markdown
from bench.verdict.table import rows, sheet_of
from export.spec import Metric

RAPL, WALL = Energy("package + dram", "RAPL"), Energy("wall", "wall meter")


def metered(energy: Energy, mj: float | None, scenario: str = "single_stream", backbone: str = "") -> list[Record]:
    """All small records; those of one scenario (and one backbone) with an energy."""
    found: list[Record] = []
    for record in SMALL.records():
        own = isinstance(record, TimingRecord) and record.subject.scenario == scenario
        if isinstance(record, TimingRecord) and own and backbone in ("", record.cell.backbone):
            metrics = [Metric.cost("energy_mj_per_image", mj, "mJ/image", 5), Metric.cost("idle_w", 4.0, "W", 5)]
            record = replace(record, energy=energy, metrics=(*record.metrics, *(metrics if energy.domain else ())))
        found.append(record)
    return found


def names(records: list[Record]) -> list[str]:
    return [c.name for c in sheet_of(Results(tuple(records))).costs if c.unit in ("mJ/image", "W")]


def test_where_nothing_was_read_there_is_no_column_and_the_reason_is_said_once() -> None:
    records = metered(Energy(reason="There is no sensor."), None)
    assert names(records) == []
    assert rows(Results(tuple(records)))[1] == ["No energy: There is no sensor."]
    assert "energy_domain" not in sheet_of(Results(tuple(records))).labels[0]


def test_records_from_before_there_were_sensors_say_nothing() -> None:
    assert rows(Results(tuple(SMALL.records())))[1] == []


def test_one_domain_is_one_column_and_the_foot_names_it() -> None:
    found = sheet_of(Results(tuple(metered(RAPL, 12.5))))
    column, values = found.cost("energy_mj_per_image")
    assert (column.title, column.unit, column.higher_is_better) == ("energy", "mJ/image", False)
    assert column.about == "energy_mj_per_image of single_stream: package + dram"
    assert 12.5 in values
    assert "energy_mj_per_image: package + dram (by RAPL), beyond the idle power." in found.notes
    assert {label["energy_domain"] for label in found.labels} == {"package + dram", ""}
    text = markdown(Ranking(found))
    assert "energy mJ/image" in text
    assert "12.5" in text


def test_two_domains_never_stand_in_one_column() -> None:
    one = [r for r in metered(RAPL, 12.5) if r.cell.backbone == "made_up_base"]
    other = [r for r in metered(WALL, 80.0) if r.cell.backbone != "made_up_base"]
    found = sheet_of(Results((*one, *other)))
    assert sorted(names([*one, *other])) == [
        "package_dram.energy_mj_per_image",
        "package_dram.idle_w",
        "wall.energy_mj_per_image",
        "wall.idle_w",
    ]
    for name, own in (("package_dram.energy_mj_per_image", 12.5), ("wall.energy_mj_per_image", 80.0)):
        column, values = found.cost(name)
        assert {v for v in values.tolist() if v == v} == {own}
        assert column.title == f"{name.partition('.')[0].replace('_', ' ')} energy"
    assert "Energies of different domains are not compared: each has columns of its own." in found.notes
    assert "package dram energy" in markdown(Ranking(found), everything=True)


def test_another_scenario_has_a_column_of_its_own() -> None:
    both = [
        a if isinstance(a, TimingRecord) and a.subject.scenario == "offline" else b
        for a, b in zip(metered(RAPL, 6.5, "offline"), metered(RAPL, 21.9), strict=True)
    ]
    assert [n for n in names(both) if n.endswith("image")] == ["energy_mj_per_image", "offline.energy_mj_per_image"]


def test_windows_that_do_not_count_are_no_column_and_their_reason_is_in_the_foot() -> None:
    short = EnergyWindow("latency", 0, 10, 4.0, 20.0, why="4.0 s of the 10 s needed")
    records = metered(replace(RAPL, windows=(short,)), None)
    assert "energy_mj_per_image" not in names(records)
    assert "Energy n/a: latency: 4.0 s of the 10 s needed." in rows(Results(tuple(records)))[1]

from __future__ import annotations

from fake_records import Lab, only

from bench.verdict.costs import costs


def test_the_quickest_cell_comes_first_and_what_was_not_measured_has_a_dash() -> None:
    lab = Lab()
    slow, fast, *_ = sorted(lab.backbones, key=lambda name: -lab.backbones[name][1])
    head, _, *rows = costs([only(lab.timing(name, "ort:cpu")) for name in (slow, fast)]).splitlines()
    assert "p50, ms" in head
    assert [row.split(" | ")[0].strip("| ") for row in rows] == [fast, slow]
    assert rows[0].endswith(" | – |"), "how long it took to load is not in the record"


def test_a_cell_without_figures_says_why() -> None:
    lab = Lab()
    name = next(iter(lab.backbones))
    troubled = only(lab.failure(lab.timing(name, "ort:cpu"), "failed", "It does not fit into memory."))
    found = costs([troubled]).splitlines()
    assert len(found) == 4
    assert found[-1].startswith(f"- {name} · ort:cpu · fp32: ")
    assert found[-1].endswith("It does not fit into memory.")

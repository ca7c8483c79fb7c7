"""Cumulative distributions of every query's time, and what is known of each class: what the page unpacks when asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from bench.records.parts import SampleSeries
from bench.records.record import TimingRecord
from bench.verdict.row import Row
from bench.verdict.table import in_order

STEPS = 100
"""Points of a cumulative distribution: a page must stay small whatever was measured."""


def distributions(found: Sequence[Row], rows: Sequence[int]) -> dict[str, list[dict[str, Any]]]:
    """Cumulative distributions, all repeats together: series → one curve a cell.

    Returns:
        For each series its curves: ``place``, ``n``, and ``ms``, the quantiles at 0, 1/100, …, 1.
    """
    curves: dict[str, list[dict[str, Any]]] = {}
    for scenario in in_order({scenario for row in found for scenario in row.timings}):
        for place, row in enumerate(rows):
            timing = found[row].timings.get(scenario)
            series: dict[str, list[int]] = {}
            for name, one in _shown(timing) if timing else ():
                series.setdefault(name, []).extend(one.samples)
            for name, samples in series.items():
                if not samples:
                    continue
                ordered = np.sort(np.array(samples)) / 1e6
                ranks = np.ceil(np.arange(STEPS + 1) / STEPS * len(ordered) - 1e-9).astype(int)
                curve = [float(f"{v:.4g}") for v in ordered[np.maximum(ranks, 1) - 1]]
                title = scenario if name in ("latency", scenario) else f"{scenario}: {name.replace('_', ' ')}"
                curves.setdefault(title, []).append({"place": place, "n": len(samples), "ms": curve})
    return curves


def _shown(record: TimingRecord) -> Iterator[tuple[str, SampleSeries]]:
    """The series that a reader may want to see, and what they are called: of a search for a rate the trial that the
    answer comes from; of a soak, whose course has a picture of its own, the steady state."""
    kind = record.subject.scenario
    for one in record.series:
        if kind == "server":
            if one.name.startswith("trial_") and one.rate == record.main.value:
                yield kind, one
        elif kind != "soak":
            yield one.name, one
        elif one is record.series[-1]:
            yield kind, one


def classes(found: Sequence[Row], rows: Sequence[int]) -> dict[str, dict[int, list[dict[str, Any]]]]:
    """What records hold of each class: setting → place → one entry a class."""
    by_setting: dict[str, dict[int, list[dict[str, Any]]]] = {}
    for place, row in enumerate(rows):
        for name, record in found[row].scores.items():
            if record.by_class:
                by_setting.setdefault(name, {})[place] = record.by_class
    return by_setting

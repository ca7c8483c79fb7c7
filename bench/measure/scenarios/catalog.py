"""Which scenarios there are: one line each."""

from __future__ import annotations

from collections.abc import Mapping

from bench.measure.clock import Series
from bench.measure.scenarios.base import Scenario, Settings
from export.registry import Registry
from export.spec import Metric

SCENARIOS: Registry[type[Scenario]] = Registry(
    "scenario",
    {
        "single_stream": "bench.measure.scenarios.single_stream:SingleStream",
        "multi_stream": "bench.measure.scenarios.multi_stream:MultiStream",
        "offline": "bench.measure.scenarios.offline:Offline",
        "server": "bench.measure.scenarios.server:Server",
        "camera": "bench.measure.scenarios.camera:Camera",
        "soak": "bench.measure.scenarios.soak:Soak",
        "end_to_end": "bench.measure.scenarios.end_to_end:EndToEnd",
        "search": "bench.measure.scenarios.search:Search",
    },
    listing="bob run --help",
)


def scenario(name: str) -> Scenario:
    """The scenario of that name.

    Raises:
        UserError: there is none; the nearest are suggested.
    """
    return SCENARIOS.get(name)()


def main_metric(name: str, series: Mapping[str, Series], settings: Settings) -> Metric:
    """The main metric of one run of the scenario ``name``."""
    return scenario(name).metrics([series], settings)[0]


def headline(series: Mapping[str, Mapping[str, Series]], settings: Settings) -> str:
    """Scenario → its series: the main figure of each, in one line."""
    mains = {name: main_metric(name, parts, settings) for name, parts in series.items()}
    return ", ".join(
        f"{name} {m.value:.2f} {m.unit}" if m.value is not None else f"{name} n/a" for name, m in mains.items()
    )

from __future__ import annotations

import pytest

from bench.measure.slo import Slo
from export.errors import UserError


@pytest.mark.parametrize(
    ("text", "quantile", "ms"),
    [("p99=50ms", 0.99, 50), ("P90 = 250us", 0.9, 0.25), ("p99.9=1.5s", 0.999, 1500), ("p50=20µs", 0.5, 0.02)],
)
def test_a_bound_is_a_percentile_and_a_time(text: str, quantile: float, ms: float) -> None:
    slo = Slo.parse(text)
    assert slo.quantile == pytest.approx(quantile)
    assert slo.ms == pytest.approx(ms)
    assert Slo.parse(str(slo)) == slo


@pytest.mark.parametrize("text", ["", "50ms", "p99", "p99=50", "p99=ms", "p100=5ms", "p0=5ms", "p99=0ms", "p99=-5ms"])
def test_anything_else_gets_a_sentence(text: str) -> None:
    with pytest.raises(UserError, match="not a bound on latency"):
        Slo.parse(text)


def test_so_many_may_be_late_that_the_percentile_is_kept() -> None:
    slo = Slo(0.99, 50.0)
    assert (slo.late(662), slo.late(100), slo.late(99), slo.late(1)) == (6, 1, 0, 0)
    assert (slo.percentile, Slo(0.999, 1).percentile) == ("p99", "p99.9")

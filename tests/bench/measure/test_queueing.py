"""The queue's arithmetic beside the issuer, which does the same with a clock."""

from __future__ import annotations

import numpy as np
import pytest
from fake_clock import Scripted

from bench.measure.arrivals import poisson
from bench.measure.issuer import issue
from bench.measure.queueing import highest_rates, latencies
from bench.measure.slo import Slo
from bench.records.stats import quantile


def test_latencies_are_those_that_the_issuer_sees() -> None:
    draw, clock = np.random.default_rng(0), Scripted()
    arrivals, service = poisson(120.0, 500, 1), draw.integers(1_000_000, 12_000_000, 500)
    seen = issue(arrivals, lambda first, _: clock.pass_by(int(service[first])), clock.now, clock.wait)
    found = latencies(np.array(arrivals, float)[:, None], service.astype(float)[:, None])
    np.testing.assert_allclose(found[:, 0], seen.latency)


def test_the_highest_rate_keeps_the_bound_and_a_little_more_breaks_it() -> None:
    slo, clock = Slo(0.99, 40.0), Scripted()
    [rate] = highest_rates([8_000_000], slo, 700, seed=5)

    def late(rate: float) -> float:
        seen = issue(poisson(rate, 700, 5), lambda *_: clock.pass_by(8_000_000), clock.now, clock.wait)
        return quantile(seen.latency, 0.99) / 1e6

    assert late(rate * 0.999) <= 40 < late(rate * 1.01)


def test_it_is_what_queueing_theory_gives_for_exponential_service() -> None:
    """M/M/1: the time in the system is exponential with rate mu − lambda, so p99 = ln(100) / (mu − lambda)."""
    service = (np.random.default_rng(1).exponential(size=5000) * 10e6).round().astype(int).tolist()
    rates = highest_rates(service, Slo(0.99, 100.0), 20_000, seed=2, schedules=8)
    assert np.median(rates) == pytest.approx(100 - np.log(100) / 0.1, rel=0.04)


def test_schedules_differ_and_a_bound_below_the_service_time_allows_no_rate() -> None:
    assert len(set(highest_rates([8_000_000], Slo(), 662, 0, 20).tolist())) > 10
    assert highest_rates([80_000_000], Slo(), 662, 0, 3).tolist() == [0, 0, 0]

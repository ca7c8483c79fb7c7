"""What a queue before one server makes of service times: predicts what rates a bound on latency allows.

A query is answered when it has been served after all before it: ``done[k] = max(arrival[k], done[k-1]) + service[k]``
(Lindley 1952). That says which rates are worth a trial, and how far another schedule of arrivals would have moved the
answer. It is never the answer itself.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.measure.arrivals import Floats, gaps
from bench.measure.slo import Slo

STEPS = 12
"""Halvings of a range of rates: to a quarter of a thousandth of it."""


def latencies(arrivals: Floats, service: Floats) -> Floats:
    """Seconds from arrival to answer, for each query of each schedule, [count, schedules]; arrivals and service times,
    in seconds, have the same shape."""
    done = np.zeros(arrivals.shape[1])
    found = np.empty_like(arrivals)
    for k, (arrived, took) in enumerate(zip(arrivals, service, strict=True)):
        done = np.maximum(arrived, done) + took
        found[k] = done - arrived
    return found


def highest_rates(service_ns: Sequence[int], slo: Slo, count: int, seed: int, schedules: int = 1) -> Floats:
    """Queries a second at which the bound is just kept, one for each of so many schedules of ``count`` arrivals.

    Args:
        service_ns: what queries take alone; each schedule draws from them anew.

    Returns:
        [schedules]; 0 where even a query that never waits breaks the bound.
    """
    draw = np.random.default_rng(seed)
    service = draw.choice(np.asarray(service_ns, np.float64) / 1e9, (count, schedules))
    unit = gaps(count, seed, schedules).cumsum(axis=0)
    rank = count - slo.late(count) - 1
    if np.sort(service, axis=0)[rank].max() * 1e3 > slo.ms:
        return np.zeros(schedules)
    high = 1 / service.mean(axis=0)
    low = np.zeros(schedules)
    for _ in range(STEPS):
        rate = (low + high) / 2
        kept = np.sort(latencies(unit / rate, service), axis=0)[rank] * 1e3 <= slo.ms
        low, high = np.where(kept, rate, low), np.where(kept, high, rate)
    return low

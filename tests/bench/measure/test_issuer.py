"""The issuer on a clock that only waiting and serving move: every latency is known to the nanosecond."""

from __future__ import annotations

import pytest
from fake_clock import Scripted

from bench.measure.clock import CLOCK, wait_until
from bench.measure.issuer import Issued, Queue, issue

MS = 1_000_000


class Server:
    """Takes the given time for each query; ``seen`` are the runs: first query, count."""

    def __init__(self, *durations: int) -> None:
        self.clock, self.durations, self.seen = Scripted(), durations, list[tuple[int, int]]()

    def __call__(self, first: int, count: int) -> None:
        self.seen.append((first, count))
        self.clock.pass_by(self.durations[min(first, len(self.durations) - 1)])

    def issue(self, arrivals: list[int], queue: Queue = Queue(), bound: float = 1e18, late: int = 0) -> Issued:  # noqa: B008
        return issue(arrivals, self, self.clock.now, self.clock.wait, queue, bound, late)


def test_latency_counts_from_the_scheduled_time() -> None:
    """One answer takes 100 ms. A closed loop sees one slow sample; the users behind it wait as well (pitfall 10)."""
    server = Server(100 * MS, 1 * MS)
    seen = server.issue([0, 10 * MS, 20 * MS, 200 * MS])
    assert seen.latency == [100 * MS, 91 * MS, 82 * MS, 1 * MS]
    assert seen.service == [100 * MS, 1 * MS, 1 * MS, 1 * MS]
    assert seen.delay == [0, 0, 0, 0]
    assert (seen.begin_ns, seen.end_ns) == (0, 201 * MS)


def test_it_waits_for_a_query_that_is_not_yet_due() -> None:
    server = Server(2 * MS)
    seen = server.issue([5 * MS, 50 * MS])
    assert seen.latency == [2 * MS, 2 * MS]
    assert seen.end_ns == 52 * MS


def test_a_late_awakening_is_its_own_fault_and_part_of_the_latency() -> None:
    server = Server(2 * MS)

    def oversleep(due: int) -> None:
        server.clock.wait(due + 3 * MS)

    seen = issue([5 * MS, 50 * MS], server, server.clock.now, oversleep)
    assert seen.delay == [3 * MS, 3 * MS]
    assert seen.latency == [5 * MS, 5 * MS]


def test_it_gives_up_once_more_queries_are_late_than_may_be() -> None:
    server = Server(30 * MS)
    arrivals = [10 * MS * i for i in range(100)]
    seen = server.issue(arrivals, bound=100 * MS, late=2)
    assert seen.given_up
    assert sum(latency > 100 * MS for latency in seen.latency) == 3
    assert len(server.seen) < 10
    assert not server.issue(arrivals[:3], bound=100 * MS, late=2).given_up


def test_queries_that_wait_are_served_together() -> None:
    server = Server(10 * MS)
    seen = server.issue([0, 1 * MS, 2 * MS, 3 * MS, 4 * MS], Queue(most=3))
    assert server.seen == [(0, 1), (1, 3), (4, 1)]
    assert seen.sizes == [1, 3, 1]
    assert seen.latency == [10 * MS, 19 * MS, 18 * MS, 17 * MS, 26 * MS]


def test_a_query_waits_for_others_as_long_as_the_queue_allows_and_no_longer_than_a_full_batch_needs() -> None:
    patient = Queue(most=2, delay_ns=5 * MS)
    server = Server(1 * MS)
    seen = server.issue([0, 3 * MS, 20 * MS, 40 * MS], patient)
    assert server.seen == [(0, 2), (2, 1), (3, 1)]
    assert seen.latency == [4 * MS, 1 * MS, 6 * MS, 6 * MS]


def test_the_systems_clock_is_waited_for() -> None:
    due = CLOCK() + 3 * MS
    wait_until(due)
    assert CLOCK() >= due
    wait_until(due)


@pytest.mark.parametrize("most", [1, 4])
def test_every_query_is_answered_once(most: int) -> None:
    server = Server(7 * MS)
    arrivals = [3 * MS * i for i in range(50)]
    seen = server.issue(arrivals, Queue(most))
    assert [first + i for first, count in server.seen for i in range(count)] == list(range(50))
    assert len(seen.latency) == 50

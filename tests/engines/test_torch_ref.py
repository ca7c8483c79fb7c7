"""torch's thread count belongs to the process: sessions use it while they run, and give it back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
import torch

from engines.base import Pixels, Plan
from engines.torch_ref import ThreadCount, TorchSession

BEFORE = 3


@pytest.fixture(autouse=True)
def _before() -> Iterator[None]:
    """A count that no session asks for."""
    kept = torch.get_num_threads()
    torch.set_num_threads(BEFORE)
    yield
    torch.set_num_threads(kept)


class Watched(torch.nn.Module):
    """Notes the thread count that it runs on."""

    def __init__(self, inner: Any) -> None:
        super().__init__()
        self.inner, self.seen = inner, set[int]()

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        self.seen.add(torch.get_num_threads())
        found: torch.Tensor = self.inner(values)
        return found


def opened(plan: Plan, threads: int) -> tuple[TorchSession, set[int]]:
    session = TorchSession(replace(plan, engine=replace(plan.engine, threads=threads)))
    watched = Watched(session._module)
    session._module = watched
    return session, watched.seen


def test_sessions_closed_out_of_order_leave_the_count_as_it_was(planned: Callable[..., Plan], pixels: Pixels) -> None:
    plan = planned("torch")
    (one, by_one), (two, by_two) = opened(plan, 1), opened(plan, 2)
    for session in (one, two, one):
        session.run(pixels)
        assert torch.get_num_threads() == BEFORE
    one.close()
    two.run(pixels)
    two.close()
    assert (by_one, by_two) == ({1}, {2})
    assert torch.get_num_threads() == BEFORE


def test_a_thread_that_knew_another_count_runs_on_the_sessions(planned: Callable[..., Plan], pixels: Pixels) -> None:
    """torch keeps a count for each thread, once that has asked."""
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(torch.get_num_threads).result() == BEFORE
        session, seen = opened(planned("torch"), 1)
        pool.submit(session.run, pixels).result()
        assert pool.submit(torch.get_num_threads).result() == BEFORE
        session.close()
    assert seen == {1}


def test_a_run_that_fails_gives_the_count_back(planned: Callable[..., Plan], pixels: Pixels) -> None:
    session, _ = opened(planned("torch"), 1)
    session._module = None
    with pytest.raises(Exception, match="PyTorch failed while running"):
        session.run(pixels)
    session.close()
    assert torch.get_num_threads() == BEFORE


def test_runs_that_overlap_give_back_what_was_there_before_the_first() -> None:
    count, both = ThreadCount(), threading.Barrier(2)
    left = threading.Event()

    def first() -> int:
        with count.of(1):
            both.wait()
        left.set()
        return torch.get_num_threads()

    def second() -> tuple[int, int]:
        with count.of(2):
            both.wait()
            left.wait()
            during = torch.get_num_threads()
        return during, torch.get_num_threads()

    with ThreadPoolExecutor(2) as pool:
        one, two = pool.submit(first), pool.submit(second)
        assert (one.result(), two.result()) == (BEFORE, (2, BEFORE))
    with ThreadPoolExecutor(1) as pool:  # and so does a thread that begins after
        assert pool.submit(torch.get_num_threads).result() == BEFORE

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from engines.library import environment


def test_the_environment_is_as_it_was_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HELD", "before")
    monkeypatch.delenv("NEW", raising=False)
    with environment({"HELD": "during", "NEW": "during"}):
        assert os.environ["HELD"] == os.environ["NEW"] == "during"
    assert os.environ["HELD"] == "before"
    assert "NEW" not in os.environ


def test_two_that_set_the_environment_do_not_give_back_each_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NEW", raising=False)
    inside = threading.Barrier(2, timeout=0.2)

    def build() -> None:
        with environment({"NEW": "during"}), suppress(threading.BrokenBarrierError):
            inside.wait()  # the other, if it is let in

    def leave_late() -> None:
        with environment({"NEW": "during"}):
            with suppress(threading.BrokenBarrierError):
                inside.wait()
            time.sleep(0.05)

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(build), pool.submit(leave_late)]:
            done.result()
    assert "NEW" not in os.environ

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from export.quiet import quiet


@pytest.fixture
def loud() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.usefixtures("loud")
def test_only_the_thread_that_asked_is_quiet(caplog: pytest.LogCaptureFixture) -> None:
    meet = Barrier(2, timeout=10)
    logger = logging.getLogger("PIL.TiffImagePlugin")

    def hushed() -> None:
        with quiet():
            meet.wait()
            warnings.warn("about attacks", UserWarning, stacklevel=1)
            logger.error("hushed")
            meet.wait()

    def other() -> None:
        meet.wait()
        with pytest.raises(UserWarning, match="mine"):
            warnings.warn("mine", UserWarning, stacklevel=1)
        logger.error("heard")
        meet.wait()

    with ThreadPoolExecutor(2) as pool:
        for done in (pool.submit(hushed), pool.submit(other)):
            done.result()
    assert [record.message for record in caplog.records] == ["heard"]


@pytest.mark.usefixtures("loud")
def test_what_was_changed_is_given_back_whoever_leaves_last() -> None:
    before = list(warnings.filters)

    def nested(_: int) -> None:
        for _ in range(200):
            with quiet(), quiet():
                warnings.warn("hushed", UserWarning, stacklevel=1)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(nested, range(4)))
    assert warnings.filters == before
    with pytest.raises(RuntimeError), quiet():
        raise RuntimeError
    assert warnings.filters == before


@pytest.mark.usefixtures("loud")
def test_filters_that_somebody_puts_in_place_meanwhile_do_not_undo_it() -> None:
    with quiet(), warnings.catch_warnings():
        warnings.simplefilter("error")
        with quiet():
            warnings.warn("hushed", UserWarning, stacklevel=1)

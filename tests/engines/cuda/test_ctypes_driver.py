"""The driver by ctypes: what of it the two implementations do not share. The library is compiled, and has no GPU."""

from __future__ import annotations

import ctypes
import gc
import threading

import numpy as np
import pytest

from engines.cuda.ctypes_driver import CtypesDriver
from export.errors import CellError, Unavailable

BYTES = np.dtype(np.uint8)


@pytest.fixture
def driver(fake_libcuda: ctypes.CDLL) -> CtypesDriver:
    return CtypesDriver(fake_libcuda)


def test_close_frees_what_nobody_freed(driver: CtypesDriver, fake_libcuda: ctypes.CDLL) -> None:
    with driver.active():
        stream = driver.stream()
        kept = [driver.allocate(8), driver.pinned((8,), BYTES), driver.event(), stream.capture(lambda: None)]
        assert fake_libcuda.fake_live() == 5
    driver.close()
    assert fake_libcuda.fake_live() == 0
    driver.close()  # a second time does nothing
    assert len(kept) == 4


def test_what_nobody_needs_is_freed_with_the_next_call_that_may(
    driver: CtypesDriver, fake_libcuda: ctypes.CDLL
) -> None:
    with driver.active():
        stream = driver.stream()
        array = driver.pinned((64,), BYTES)
        view = array[8:16].reshape(2, 4)
        del array
        gc.collect()
        driver.event()  # an event that nobody keeps
        assert fake_libcuda.fake_live() == 3
        held = driver.event()
        assert fake_libcuda.fake_live() == 3  # the event is gone, the view keeps its memory
        del view

        def work() -> None:
            gc.collect()  # frees nothing: the stream captures

        graph = stream.capture(work)
        graph.free()
        driver.allocate(8).free()
        assert fake_libcuda.fake_live() == 2  # the stream and the event that is held
        assert held is not None
    driver.close()


def test_freed_twice_is_freed_once(driver: CtypesDriver) -> None:
    with driver.active():
        buffer = driver.allocate(8)
        buffer.free()
        buffer.free()
    driver.close()


def test_a_call_without_the_context_says_so(driver: CtypesDriver) -> None:
    with pytest.raises(CellError, match=r"cuStreamCreate: CUDA_ERROR_INVALID_CONTEXT \(its own words\)\."):
        driver.stream()
    driver.close()


def test_the_context_is_each_threads_own(driver: CtypesDriver, fake_libcuda: ctypes.CDLL) -> None:
    found: list[int] = []

    def work() -> None:
        found.append(fake_libcuda.fake_depth())
        with driver.active(), driver.active():
            found.append(fake_libcuda.fake_depth())
            driver.allocate(8).free()
        found.append(fake_libcuda.fake_depth())

    with driver.active():
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert found == [0, 2, 0]
    driver.close()


def test_an_error_inside_gives_the_context_back(driver: CtypesDriver, fake_libcuda: ctypes.CDLL) -> None:
    with pytest.raises(CellError, match="cuMemcpyHtoDAsync_v2: CUDA_ERROR_INVALID_VALUE"), driver.active():
        driver.stream().copy_in(driver.allocate(8), np.zeros(8, np.uint8))  # not pinned
    assert fake_libcuda.fake_depth() == 0
    driver.close()


def test_waiting_while_a_stream_captures_is_the_drivers_error(driver: CtypesDriver) -> None:
    with driver.active():
        stream = driver.stream()
        with pytest.raises(CellError, match="CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED"):
            stream.capture(stream.synchronize)
        stream.synchronize()
    driver.close()


def test_an_unknown_error_is_a_number(driver: CtypesDriver) -> None:
    assert driver.cuda.words(719) == "CUDA error 719"
    assert driver.cuda.words(200) == "CUDA_ERROR_INVALID_IMAGE (device kernel image is invalid)"
    driver.close()


def test_a_driver_that_does_not_start_is_a_sentence(fake_libcuda: ctypes.CDLL) -> None:
    fake_libcuda.fake_fail(999)
    with pytest.raises(Unavailable, match=r"does not start\.\ncuInit: CUDA error 999"):
        CtypesDriver(fake_libcuda)


def test_without_a_library_there_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engines.cuda.ctypes_driver.library", lambda: None)
    with pytest.raises(Unavailable, match="libcuda"):
        CtypesDriver()

"""The driver: both implementations keep the protocol, on a library without a GPU and on a real one."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import numpy as np
import pytest

from engines.cuda import ctypes_driver, pycuda_driver
from engines.cuda import driver as protocols
from engines.cuda.driver import Driver, out_of_memory
from export.errors import CellError


def test_out_of_memory_says_what_was_asked_and_what_is_free() -> None:
    error = out_of_memory(512 << 20, 100 << 20, 8192 << 20)
    assert "512 MiB" in error.what
    assert "100 of its 8,192 MiB" in error.why
    assert error.remedy


@pytest.mark.parametrize(
    ("real", "protocol"),
    [
        (pycuda_driver.PycudaDriver, protocols.Driver),
        (pycuda_driver.PycudaStream, protocols.Stream),
        (pycuda_driver.PycudaEvent, protocols.Event),
        (pycuda_driver.PycudaBuffer, protocols.Buffer),
        (pycuda_driver.PycudaKernels, protocols.Kernels),
        (pycuda_driver.BindingsGraph, protocols.Graph),
        (ctypes_driver.CtypesDriver, protocols.Driver),
        (ctypes_driver.CtypesStream, protocols.Stream),
        (ctypes_driver.CtypesEvent, protocols.Event),
        (ctypes_driver.CtypesBuffer, protocols.Buffer),
        (ctypes_driver.CtypesKernels, protocols.Kernels),
        (ctypes_driver.CtypesGraph, protocols.Graph),
    ],
)
def test_the_real_driver_has_every_method_of_the_protocol(real: type, protocol: type) -> None:
    for name, method in inspect.getmembers(protocol, inspect.isfunction):
        if not name.startswith("_"):
            assert list(inspect.signature(getattr(real, name)).parameters) == list(inspect.signature(method).parameters)


def test_every_function_of_cuda_bindings_that_is_called_is_there() -> None:
    bindings = pytest.importorskip("cuda.bindings.driver", reason="cuda-bindings is not installed")
    called = re.findall(r"(?:bindings|_bindings\(\))\.(cu\w+|CU\w+)", inspect.getsource(pycuda_driver))
    assert len(called) >= 6
    assert [name for name in called if not hasattr(bindings, name)] == []


@pytest.fixture(params=["fake", *(pytest.param(name, marks=pytest.mark.gpu) for name in ("pycuda", "libcuda"))])
def driver(request: pytest.FixtureRequest) -> Iterator[Driver]:
    if request.param == "pycuda":
        pytest.importorskip("pycuda.driver", reason="pycuda is not installed")
        found: Driver = pycuda_driver.PycudaDriver()
    elif request.param == "libcuda":
        found = ctypes_driver.CtypesDriver()
    else:
        found = ctypes_driver.CtypesDriver(request.getfixturevalue("fake_libcuda"))
    with found.active():
        yield found
    found.close()


def test_copies_events_and_graphs(driver: Driver) -> None:
    stream, start, end = driver.stream(), driver.event(), driver.event()
    host, back = driver.pinned((1024,), np.dtype(np.float32)), driver.pinned((1024,), np.dtype(np.float32))
    host[:] = np.arange(1024)
    back[:] = 0
    buffer = driver.allocate(host.nbytes)
    stream.record(start)
    stream.copy_in(buffer, host)
    graph = stream.capture(lambda: stream.copy_out(back, buffer))
    stream.synchronize()
    assert not back.any()  # a capture runs nothing
    stream.launch(graph)
    stream.record(end)
    stream.synchronize()
    np.testing.assert_array_equal(back, host)
    assert 0 < start.ms_until(end) < 1000
    back[:] = 0
    stream.launch(graph)
    stream.synchronize()
    np.testing.assert_array_equal(back, host)
    graph.free()
    buffer.free()


def test_pinned_memory_of_every_shape(driver: Driver) -> None:
    for shape in [(3, 5, 7), (1,), (0, 4), (2, 0)]:
        array = driver.pinned(shape, np.dtype(np.float16))
        assert array.shape == shape
        assert array.dtype == np.float16
        assert array.flags.c_contiguous
        array[...] = 1.5
        assert (array == 1.5).all()


def test_two_streams_and_what_lies_between(driver: Driver) -> None:
    first, second = driver.stream(), driver.stream()
    assert first.handle != second.handle
    host = driver.pinned((2, 8), np.dtype(np.uint8))
    host[:] = [[1], [2]]
    back = driver.pinned((2, 8), np.dtype(np.uint8))
    buffers = [driver.allocate(8), driver.allocate(8)]
    for stream, buffer, row in zip((first, second), buffers, host, strict=True):
        stream.copy_in(buffer, row)  # a view of pinned memory is pinned
    for stream, buffer, row in zip((second, first), buffers[::-1], back[::-1], strict=True):
        stream.copy_out(row, buffer)
        stream.synchronize()
    np.testing.assert_array_equal(back, host)
    for buffer in buffers:
        buffer.free()


def test_more_memory_than_there_is_is_a_sentence(driver: Driver) -> None:
    with pytest.raises(CellError, match="out of memory: 1,099,511,627,776 MiB were needed"):
        driver.allocate(1 << 60)


def test_code_for_another_device_is_refused(driver: Driver) -> None:
    with pytest.raises(CellError, match="does not load this device code"):
        driver.kernels(b"\x7fELF, but no more")


def test_work_that_fails_leaves_the_stream_of_use(driver: Driver) -> None:
    stream, host = driver.stream(), driver.pinned((4,), np.dtype(np.uint8))
    buffer = driver.allocate(4)

    def work() -> None:
        stream.copy_in(buffer, host)
        raise ValueError("in the middle")

    with pytest.raises(ValueError, match="in the middle"):
        stream.capture(work)
    stream.copy_in(buffer, host)
    stream.synchronize()
    buffer.free()

"""The real driver: what it calls is there, and without a GPU it says so."""

from __future__ import annotations

import inspect
import re

import numpy as np
import pytest

from engines.cuda import device as cuda_device
from engines.cuda import driver as protocols
from engines.cuda import pycuda_driver
from engines.cuda.driver import out_of_memory
from export.errors import Unavailable


def test_without_a_gpu_there_is_a_sentence() -> None:
    if cuda_device.device() is not None:
        pytest.skip("there is a GPU")
    with pytest.raises(Unavailable, match="CUDA is not available") as failure:
        pycuda_driver.open_driver()
    assert failure.value.remedy


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
        (pycuda_driver.BindingsGraph, protocols.Graph),
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


@pytest.mark.gpu
def test_copies_events_and_graphs_on_a_real_device() -> None:
    pytest.importorskip("pycuda.driver", reason="pycuda is not installed")
    driver = pycuda_driver.open_driver()
    with driver.active():
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
        assert start.ms_until(end) > 0
        graph.free()
        buffer.free()
    driver.close()

"""Which GPU is here, asked of the driver itself: no package is needed, and nothing is left behind on the device."""

from __future__ import annotations

import contextlib
from ctypes import CDLL, byref, c_char, c_int, c_size_t, c_uint
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from engines.cuda.libcuda import library

MAJOR, MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_*
NO_IDENTITY = ("total_memory_bytes", "cuda")


@dataclass(frozen=True)
class Device:
    """A GPU.

    Attributes:
        capability: compute capability, as "8.6".
        driver: the driver's version, as "580.65.06"; where it is unknown, the newest CUDA that it supports.
        cuda: the newest CUDA that the driver supports, as "12.6"; empty where it is unknown.
    """

    name: str
    capability: str
    driver: str
    total_memory_bytes: int
    cuda: str = ""

    def identity(self) -> dict[str, str]:
        """What a plan that was built here depends on."""
        return {name: value for name, value in asdict(self).items() if name not in NO_IDENTITY}


def device() -> Device | None:
    """The first GPU that the driver shows; None where there is none, and :func:`why_no_device` says why."""
    return _look()[0]


def why_no_device() -> str:
    """What is missing; empty where there is a GPU."""
    return _look()[1]


@cache
def _look() -> tuple[Device | None, str]:
    driver = library()
    if driver is None:
        return None, "the NVIDIA driver (libcuda)"
    count, gpu, major, minor, cuda = c_int(0), c_int(0), c_int(0), c_int(0), c_int(0)
    name, memory = (c_char * 256)(), c_size_t(0)
    if driver.cuInit(0) or driver.cuDeviceGetCount(byref(count)) or not count.value:
        return None, "an NVIDIA GPU"
    failed = (
        driver.cuDeviceGet(byref(gpu), 0)
        or driver.cuDeviceGetName(name, len(name), gpu)
        or driver.cuDeviceGetAttribute(byref(major), MAJOR, gpu)
        or driver.cuDeviceGetAttribute(byref(minor), MINOR, gpu)
        or driver.cuDeviceTotalMem_v2(byref(memory), gpu)
        or driver.cuDriverGetVersion(byref(cuda))
    )
    if failed:
        return None, f"a GPU that answers its driver (CUDA error {failed})"
    newest = f"{cuda.value // 1000}.{cuda.value % 1000 // 10}"
    capability, version = f"{major.value}.{minor.value}", _driver_version() or f"CUDA {newest}"
    return Device(name.value.decode(), capability, version, memory.value, newest), ""


def _driver_version() -> str:
    """From the kernel's module; where a container hides that, from the management library."""
    with contextlib.suppress(OSError):
        return Path("/sys/module/nvidia/version").read_text().strip()
    text = (c_char * 80)()
    try:
        management = CDLL("libnvidia-ml.so.1")
        failed = management.nvmlInit_v2() or management.nvmlSystemGetDriverVersion(text, c_uint(len(text)))
    except (OSError, AttributeError):
        return ""
    return "" if failed else text.value.decode()

"""What the GPU's management library reports while something else runs on it: memory, clock, heat, throttling, energy.

It makes no context, so that whoever looks leaves nothing on the device that is measured.
"""

from __future__ import annotations

from ctypes import CDLL, Structure, byref, c_int, c_uint, c_uint64, c_ulonglong, c_void_p, create_string_buffer
from dataclasses import dataclass
from typing import Any

SM_CLOCK, CORE_TEMPERATURE = 1, 0
SLOWED = 0x8 | 0x20 | 0x40 | 0x80
"""Clock event reasons that void a timing: hardware slowdown, thermal (by software or hardware), power brake."""
POWER_CAP = 0x4
"""The clock is held down because the board is at its power limit: usual for a busy GPU. Timings stay valid."""


class _Memory(Structure):
    _fields_ = [("total", c_ulonglong), ("free", c_ulonglong), ("used", c_ulonglong)]


class _Process(Structure):
    _fields_ = [("pid", c_uint), ("memory", c_ulonglong), ("instance", c_uint), ("compute_instance", c_uint)]


MOST_PROCESSES = 256


@dataclass(frozen=True)
class Reading:
    """One look at the GPU. ``clock_mhz`` and ``temperature_c`` are None where the board does not report them.

    ``processes`` are the numbers of those that compute on it, as the host counts them: in a container they have others.
    """

    memory_used_bytes: int
    clock_mhz: int | None
    temperature_c: int | None
    throttled: bool
    power_capped: bool
    processes: frozenset[int] = frozenset()


class Nvml:
    """The GPU that CUDA calls device 0.

    Args:
        library: ``libnvidia-ml.so.1``, initialised. gpu: its handle there.
    """

    def __init__(self, library: Any, gpu: c_void_p) -> None:
        self._library, self._gpu = library, gpu

    def read(self) -> Reading | None:
        """What it reports now; None where it does not even report its memory."""
        memory, clock, temperature, reasons = _Memory(), c_uint(0), c_uint(0), c_uint64(0)
        ask, gpu = self._library, self._gpu
        if ask.nvmlDeviceGetMemoryInfo(gpu, byref(memory)):
            return None
        no_clock = ask.nvmlDeviceGetClockInfo(gpu, c_int(SM_CLOCK), byref(clock))
        no_temperature = ask.nvmlDeviceGetTemperature(gpu, c_int(CORE_TEMPERATURE), byref(temperature))
        if ask.nvmlDeviceGetCurrentClocksThrottleReasons(gpu, byref(reasons)):
            reasons.value = 0
        return Reading(
            memory.used,
            None if no_clock else clock.value,
            None if no_temperature else temperature.value,
            bool(reasons.value & SLOWED),
            bool(reasons.value & POWER_CAP),
            self._processes(),
        )

    def energy_j(self) -> float | None:
        """Joules of the whole board since the driver was loaded; None where it has no such counter.

        A library that says 0 knows nothing: no board has taken no energy.
        """
        millijoules = c_ulonglong(0)
        try:
            failed = self._library.nvmlDeviceGetTotalEnergyConsumption(self._gpu, byref(millijoules))
        except AttributeError:  # a library from before there were such counters
            return None
        return None if failed or not millijoules.value else millijoules.value / 1e3

    def _processes(self) -> frozenset[int]:
        count, found = c_uint(MOST_PROCESSES), (_Process * MOST_PROCESSES)()
        try:
            failed = self._library.nvmlDeviceGetComputeRunningProcesses_v3(self._gpu, byref(count), found)
        except AttributeError:  # drivers from before 510
            return frozenset()
        return frozenset() if failed else frozenset(one.pid for one in found[: count.value])


def nvml() -> Nvml | None:
    """The library, opened on CUDA's device 0; None where there is no GPU, or no such library.

    A Jetson's has it from JetPack 6 on, and answers "not supported" to nearly everything.
    """
    try:
        cuda, library = CDLL("libcuda.so.1"), CDLL("libnvidia-ml.so.1")
    except OSError:
        return None
    return opened(cuda, library)


def opened(cuda: Any, library: Any) -> Nvml | None:
    """As :func:`nvml`, of given libraries. The two count GPUs differently, so the PCI address is what they share."""
    number, address, gpu = c_int(0), create_string_buffer(32), c_void_p()
    failed = (
        cuda.cuInit(0)
        or cuda.cuDeviceGet(byref(number), 0)
        or cuda.cuDeviceGetPCIBusId(address, len(address), number)
        or library.nvmlInit_v2()
        or library.nvmlDeviceGetHandleByPciBusId_v2(address, byref(gpu))
    )
    return None if failed else Nvml(library, gpu)

"""What the management library tells, from one that answers as NVIDIA's does; and from the real one on a GPU."""

from __future__ import annotations

from typing import Any

import pytest

from engines.cuda.nvml import Nvml, Reading, nvml, opened

NOT_SUPPORTED = 3


class Cuda:
    """The driver's three calls; arguments by reference, 0 for success."""

    def cuInit(self, flags: int) -> int:
        return 0

    def cuDeviceGet(self, device: Any, ordinal: int) -> int:
        device._obj.value = ordinal
        return 0

    def cuDeviceGetPCIBusId(self, address: Any, size: int, device: Any) -> int:
        address.value = b"0000:65:00.0"
        return 0


class Library:
    """A board at its power limit that gets too hot when told to."""

    def __init__(self, reasons: int = 0x4, jetson: bool = False, known: bytes = b"0000:65:00.0") -> None:
        self.reasons, self.jetson, self.known = reasons, jetson, known

    def nvmlInit_v2(self) -> int:
        return 0

    def nvmlDeviceGetHandleByPciBusId_v2(self, address: Any, gpu: Any) -> int:
        gpu._obj.value = 1
        return 0 if address.value == self.known else 6

    def nvmlDeviceGetMemoryInfo(self, gpu: Any, memory: Any) -> int:
        memory._obj.total, memory._obj.free, memory._obj.used = 8 << 30, 5 << 30, 3 << 30
        return NOT_SUPPORTED if self.jetson else 0

    def nvmlDeviceGetClockInfo(self, gpu: Any, kind: Any, clock: Any) -> int:
        clock._obj.value = 1410
        return 0 if kind.value == 1 else 2

    def nvmlDeviceGetTemperature(self, gpu: Any, sensor: Any, temperature: Any) -> int:
        return NOT_SUPPORTED

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, gpu: Any, reasons: Any) -> int:
        reasons._obj.value = self.reasons
        return 0


class Counting(Library):
    """It has a counter of energy too."""

    def __init__(self, millijoules: int, answer: int = 0) -> None:
        super().__init__()
        self.millijoules, self.answer = millijoules, answer

    def nvmlDeviceGetTotalEnergyConsumption(self, gpu: Any, millijoules: Any) -> int:
        millijoules._obj.value = self.millijoules
        return self.answer


class Shared(Library):
    """A board on which others compute."""

    def nvmlDeviceGetComputeRunningProcesses_v3(self, gpu: Any, count: Any, found: Any) -> int:
        for place, pid in enumerate((4711, 4712)):
            found[place].pid = pid
        count._obj.value = 2
        return 0


def gpu(library: Library) -> Nvml:
    found = opened(Cuda(), library)
    assert found is not None
    return found


def test_reads_what_is_told() -> None:
    assert gpu(Library()).read() == Reading(3 << 30, 1410, None, throttled=False, power_capped=True)


def test_processes_on_the_gpu_are_named_by_their_numbers() -> None:
    reading = gpu(Shared()).read()
    assert reading is not None
    assert reading.processes == {4711, 4712}


@pytest.mark.parametrize(
    ("reasons", "throttled"), [(0x1, False), (0x2, False), (0x8, True), (0x20, True), (0x44, True)]
)
def test_idle_and_set_clocks_are_no_throttling(reasons: int, throttled: bool) -> None:
    found = gpu(Library(reasons)).read()
    assert found is not None
    assert found.throttled is throttled


@pytest.mark.parametrize(
    ("library", "joules"),
    [
        (Counting(1_234_567_890_123), 1_234_567_890.123),
        (Counting(5, NOT_SUPPORTED), None),
        (Counting(0), None),
        (Library(), None),
    ],
    ids=["counts", "not supported", "knows nothing", "an old library"],
)
def test_joules_are_counted_and_no_answer_is_no_zero(library: Library, joules: float | None) -> None:
    assert gpu(library).energy_j() == joules


def test_a_board_that_does_not_tell_is_nothing() -> None:
    assert gpu(Library(jetson=True)).read() is None


def test_a_gpu_that_the_library_does_not_know_is_nothing() -> None:
    assert opened(Cuda(), Library(known=b"0000:01:00.0")) is None


@pytest.mark.gpu
def test_the_real_one_answers() -> None:
    here = nvml()
    if here is None:
        pytest.skip("this GPU has no management library")
    found = here.read()
    assert found is not None
    assert found.memory_used_bytes > 0

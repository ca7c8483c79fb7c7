"""The energy counter of an NVIDIA GPU's board, by its management library: from Volta on."""

from __future__ import annotations

from bench.measure.energy.sensor import Missing, Sensor, Silent, Zone
from engines.cuda.nvml import Nvml, nvml


class Gpu(Sensor):
    """The whole board, its memory included."""

    name = "NVML"
    counter = True
    covers = frozenset(("GPU",))
    zones = (Zone("GPU board"),)
    counted = ("GPU board",)

    def __init__(self, gpu: Nvml) -> None:
        self._gpu = gpu

    def read(self) -> tuple[float, ...]:
        joules = self._gpu.energy_j()
        if joules is None:
            raise Silent("the GPU gives no energy")
        return (joules,)


def find(gpu: Nvml | None = None) -> Gpu | Missing:
    """The GPU that CUDA calls device 0; ``gpu`` where its library is open already."""
    gpu = gpu or nvml()
    if gpu is None:
        return Missing(Gpu.name, "There is no NVIDIA GPU, or no management library of one.")
    if gpu.energy_j() is None:
        return Missing(Gpu.name, "The GPU has no energy counter (older than Volta, or a Jetson's).")
    return Gpu(gpu)

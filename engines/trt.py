"""TensorRT: not run by this version. It says what of library, driver and GPU is missing, for the table of engines."""

from __future__ import annotations

from collections.abc import Mapping
from ctypes import CDLL, byref, c_int
from pathlib import Path
from typing import Any

from engines.base import Availability, Engine, Plan, Profile, Session
from engines.library import installed
from export.artifact import Artifact
from export.errors import CellError
from export.spec import Precision

LIBRARIES = ("tensorrt", "tensorrt-cu12", "tensorrt-cu13")
NOT_YET = "This version does not build TensorRT plans yet."


class TrtEngine(Engine):
    """A place in the table until plans can be built."""

    name = "trt"
    providers = ("gpu",)
    precisions = frozenset({Precision.FP32, Precision.FP16, Precision.BF16, Precision.INT8, Precision.FP8})

    def _probe(self) -> Availability:
        version = next((found for name in LIBRARIES if (found := installed(name))), "")
        devices = _gpus()
        missing, remedies = [], []
        if devices is None:
            missing.append("the NVIDIA driver (libcuda)")
            remedies.append("install NVIDIA's driver")
        elif not devices:
            missing.append("an NVIDIA GPU")
            remedies.append("run on a machine with an NVIDIA GPU")
        if not version:
            missing.append("the TensorRT library")
            remedies.append("pip install tensorrt")
        if missing:
            return Availability(False, f"Missing: {', '.join(missing)}.", "; ".join(remedies), version)
        return Availability(
            False, NOT_YET, "python -m bench.run --engines ort:tensorrt", version, f"{devices} NVIDIA GPU(s)"
        )

    def _build(self, artifact: Artifact, profile: Profile, folder: Path) -> Mapping[str, Any]:
        raise CellError(NOT_YET)

    def _open(self, plan: Plan) -> Session:
        raise CellError(NOT_YET)


def _gpus() -> int | None:
    """How many GPUs the driver shows; None without a driver. Asks the driver itself: no package is needed."""
    for name in ("libcuda.so.1", "nvcuda.dll"):
        try:
            driver = CDLL(name)
        except OSError:
            continue
        count = c_int(0)
        if driver.cuInit(0) or driver.cuDeviceGetCount(byref(count)):
            return 0
        return count.value
    return None

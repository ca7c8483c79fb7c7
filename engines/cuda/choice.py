"""Which implementation of the driver a machine uses: pycuda where it is installed, else ctypes over libcuda."""

from __future__ import annotations

from engines.cuda.device import why_no_device
from engines.cuda.driver import Driver
from engines.library import installed
from export.errors import Unavailable


def implementation() -> str:
    """``"pycuda"`` or ``"libcuda"``. pycuda has no graphs: without cuda-bindings beside it, it is not used."""
    return "pycuda" if installed("pycuda") and installed("cuda-bindings") else "libcuda"


def open_driver() -> Driver:
    """The driver of the first GPU.

    Raises:
        Unavailable: the driver or the GPU is missing, or pycuda is installed and does not import.
    """
    if missing := why_no_device():
        raise Unavailable(f"CUDA is not available: {missing} is missing.", "", "run on a machine with an NVIDIA GPU")
    if implementation() == "pycuda":
        from engines.cuda.pycuda_driver import PycudaDriver

        return PycudaDriver()
    from engines.cuda.ctypes_driver import CtypesDriver

    return CtypesDriver()

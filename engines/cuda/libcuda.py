"""The CUDA driver's own library, by ctypes: the functions that are called, each with the types of ``cuda.h``.

A name that ends in a version is what the header means by the name without it (``cuMemAlloc`` is a macro for
``cuMemAlloc_v2``; the bare symbol is of CUDA 3, and takes 32-bit sizes). All of them are exported by every driver since
CUDA 11.4, JetPack 6's 12.6 and JetPack 7's 13 among them.
"""

from __future__ import annotations

from ctypes import CDLL, POINTER, c_char_p, c_float, c_int, c_size_t, c_uint, c_uint64, c_void_p
from typing import Any

from export.errors import CellError

LIBRARIES = ("libcuda.so.1", "nvcuda.dll")
OUT_OF_MEMORY = 2
THREAD_LOCAL = 1
"""CU_STREAM_CAPTURE_MODE_THREAD_LOCAL: another thread may allocate while this one captures."""

Handle, DevicePointer = c_void_p, c_uint64
SIGNATURES: dict[str, tuple[Any, ...]] = {
    "cuInit": (c_uint,),
    "cuDriverGetVersion": (POINTER(c_int),),
    "cuGetErrorName": (c_int, POINTER(c_char_p)),
    "cuGetErrorString": (c_int, POINTER(c_char_p)),
    "cuDeviceGet": (POINTER(c_int), c_int),
    "cuDeviceGetCount": (POINTER(c_int),),
    "cuDeviceGetName": (c_char_p, c_int, c_int),
    "cuDeviceGetAttribute": (POINTER(c_int), c_int, c_int),
    "cuDeviceTotalMem_v2": (POINTER(c_size_t), c_int),
    "cuDevicePrimaryCtxRetain": (POINTER(Handle), c_int),
    "cuDevicePrimaryCtxRelease_v2": (c_int,),
    "cuCtxPushCurrent_v2": (Handle,),
    "cuCtxPopCurrent_v2": (POINTER(Handle),),
    "cuMemGetInfo_v2": (POINTER(c_size_t), POINTER(c_size_t)),
    "cuMemAlloc_v2": (POINTER(DevicePointer), c_size_t),
    "cuMemFree_v2": (DevicePointer,),
    "cuMemHostAlloc": (POINTER(c_void_p), c_size_t, c_uint),
    "cuMemFreeHost": (c_void_p,),
    "cuMemcpyHtoDAsync_v2": (DevicePointer, c_void_p, c_size_t, Handle),
    "cuMemcpyDtoHAsync_v2": (c_void_p, DevicePointer, c_size_t, Handle),
    "cuStreamCreate": (POINTER(Handle), c_uint),
    "cuStreamDestroy_v2": (Handle,),
    "cuStreamSynchronize": (Handle,),
    "cuStreamBeginCapture_v2": (Handle, c_int),
    "cuStreamEndCapture": (Handle, POINTER(Handle)),
    "cuEventCreate": (POINTER(Handle), c_uint),
    "cuEventDestroy_v2": (Handle,),
    "cuEventRecord": (Handle, Handle),
    "cuEventElapsedTime": (POINTER(c_float), Handle, Handle),
    "cuGraphInstantiateWithFlags": (POINTER(Handle), Handle, c_uint64),
    "cuGraphLaunch": (Handle, Handle),
    "cuGraphDestroy": (Handle,),
    "cuGraphExecDestroy": (Handle,),
    "cuModuleLoadData": (POINTER(Handle), c_void_p),
    "cuModuleUnload": (Handle,),
    "cuModuleGetFunction": (POINTER(Handle), Handle, c_char_p),
    "cuLaunchKernel": (Handle, *[c_uint] * 7, Handle, POINTER(c_void_p), POINTER(c_void_p)),
}
"""Function → types of its arguments; each gives a CUresult, 0 for success."""


def library() -> CDLL | None:
    """The driver's library; None where there is none."""
    for name in LIBRARIES:
        try:
            return typed(CDLL(name))
        except OSError:
            continue
    return None


def typed(library: CDLL) -> CDLL:
    """The library, its functions declared as in ``SIGNATURES``; a driver that is too old lacks some of them."""
    for name, types in SIGNATURES.items():
        if function := getattr(library, name, None):
            function.argtypes, function.restype = types, c_int
    return library


class Cuda:
    """The library; a call that fails is an error with the driver's own words."""

    def __init__(self, library: CDLL) -> None:
        self.library = library

    def __call__(self, name: str, *arguments: Any) -> None:
        """Call a function.

        Raises:
            CellError: it does not succeed, or the driver is too old to have it.
        """
        if not hasattr(self.library, name):
            raise CellError(f"The CUDA driver has no {name}.", "", "update the NVIDIA driver: CUDA 11.4 or later")
        if code := getattr(self.library, name)(*arguments):
            raise CellError("The CUDA driver reports an error.", f"{name}: {self.words(code)}.")

    def words(self, code: int) -> str:
        """``"CUDA_ERROR_INVALID_IMAGE (device kernel image is invalid)"``."""
        name, sentence = c_char_p(), c_char_p()
        self.library.cuGetErrorName(code, name)
        self.library.cuGetErrorString(code, sentence)
        if not name.value:
            return f"CUDA error {code}"
        return f"{name.value.decode()} ({(sentence.value or b'').decode()})"

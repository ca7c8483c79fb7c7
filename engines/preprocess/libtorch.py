"""torch's antialiased resize without torch's Python: its C++ library alone, over the stable C interface.

``import torch`` takes seconds of processor time and hundreds of MiB for one function. The library loads in a tenth of
that, and a process that times an engine from encoded images has little more than the engine in its memory.

Interface: ``torch/csrc/stable/c/shim.h`` and ``torch/csrc/inductor/aoti_torch/c/shim.h``, stable since torch 2.10: an
operator takes a stack of 64-bit values (handles, integers, 0 for an absent optional one), which it owns from then on,
and leaves its results there.
"""

from __future__ import annotations

import sys
from ctypes import CDLL, POINTER, byref, c_char_p, c_int32, c_int64, c_uint64, c_void_p
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

from export.errors import CellError, Unavailable

Pixels = npt.NDArray[np.uint8]

NAMES = {"darwin": "libtorch_cpu.dylib", "win32": "torch_cpu.dll"}
INTERFACE = 2 << 56 | 10 << 48
"""The version of torch whose interface is spoken here; later ones keep to it."""
OPERATORS = {"bilinear": b"aten::_upsample_bilinear2d_aa", "bicubic": b"aten::_upsample_bicubic2d_aa"}
_Handle = POINTER(c_void_p)


def resized(image: Pixels, height: int, width: int, interpolation: str) -> Pixels:
    """``torch.nn.functional.interpolate(…, antialias=True)`` of an image.

    Args:
        image: uint8 [h, w, 3], C-contiguous.
        interpolation: "bilinear" or "bicubic".

    Returns:
        uint8 [height, width, 3], owned by the caller.

    Raises:
        Unavailable: torch is not installed. CellError: torch refuses.
    """
    library = _library()
    out = np.empty((height, width, 3), np.uint8)
    size = c_void_p()
    _require(library.torch_new_list_reserve_size(2, byref(size)))
    for side in (height, width):
        _require(library.torch_list_push_back(size, side))
    # self, output_size, align_corners, scales_h, scales_w, out
    stack = (c_uint64 * 6)(_tensor(library, image), size.value or 0, 0, 0, 0, _tensor(library, out))
    _require(library.torch_call_dispatcher(OPERATORS[interpolation], b"out", stack, INTERFACE))
    library.aoti_torch_delete_tensor_object(stack[0])
    return out


def _tensor(library: CDLL, image: Pixels) -> int:
    """A handle of a tensor [1, 3, h, w] over ``image`` [h, w, 3]: channels last, which is the fast kernel's form."""
    height, width, channels = image.shape
    sizes = (c_int64 * 4)(1, channels, height, width)
    strides = (c_int64 * 4)(height * width * channels, 1, width * channels, channels)
    handle = c_void_p()
    kind, device = library.aoti_torch_dtype_uint8(), library.aoti_torch_device_type_cpu()
    data = image.ctypes.data
    _require(library.aoti_torch_create_tensor_from_blob(data, 4, sizes, strides, 0, kind, device, 0, byref(handle)))
    return handle.value or 0


def _require(code: int) -> None:
    if code:
        raise CellError("torch's resize failed.", f"Its library returned {code}.")


@cache
def _library() -> CDLL:
    """libtorch_cpu, with the types of what is called.

    Raises:
        Unavailable: torch is not installed, or too old.
    """
    spec = find_spec("torch")
    if spec is None or spec.origin is None:
        raise Unavailable(
            "torch is not installed: its library resizes on the processor.",
            "",
            "pip install 'backbones-deployed[export]'; or --preprocess pillow",
        )
    path = Path(spec.origin).parent / "lib" / NAMES.get(sys.platform, "libtorch_cpu.so")
    try:
        library = _loaded(path)
        library.torch_new_list_reserve_size.argtypes = [c_uint64, _Handle]
        library.torch_list_push_back.argtypes = [c_void_p, c_uint64]
        library.torch_call_dispatcher.argtypes = [c_char_p, c_char_p, POINTER(c_uint64), c_uint64]
        library.aoti_torch_delete_tensor_object.argtypes = [c_void_p]
        library.aoti_torch_create_tensor_from_blob.argtypes = [
            *(c_void_p, c_int64, POINTER(c_int64), POINTER(c_int64), c_int64, c_int32, c_int32, c_int32, _Handle)
        ]
    except (OSError, AttributeError) as error:
        raise Unavailable("torch's library cannot be used.", str(error), "pip install 'torch>=2.10'") from error
    return library


def _loaded(path: Path) -> CDLL:
    try:
        return CDLL(str(path))
    except OSError:  # a build for GPUs whose CUDA lies where the linker does not look: torch's import finds it
        import_module("torch")
        return CDLL(str(path))

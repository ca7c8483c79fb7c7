"""The CUDA source compiled as C++ for this processor: slow, but the same arithmetic and the same indices.

With it the kernel is compared with Pillow where there is no GPU. It needs a C++17 compiler.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engines.preprocess import kernel
from engines.preprocess.kernel import PIXELS, Batch, Frame, Target
from export.errors import CellError, Unavailable
from export.spec import PreprocessSpec
from export.store import Store, key

SHIM = kernel.SOURCE.with_name("host.cpp")
FLAGS = ("-std=c++17", "-O2", "-ffp-contract=off", "-shared", "-fPIC")
STORED = {"float16": np.dtype(np.float16), "bfloat16": np.dtype(np.uint16)}


def compiler() -> str:
    """The C++ compiler: $CXX, or the first of c++, g++ and clang++ that is here.

    Raises:
        Unavailable: there is none.
    """
    names = (os.environ.get("CXX", ""), "c++", "g++", "clang++")
    found = next((path for name in names if name and (path := shutil.which(name))), None)
    if found is None:
        raise Unavailable("No C++ compiler was found.", "", "install g++ or clang++, or set CXX")
    return found


def library(store: Store, flags: Sequence[str] = ()) -> Path:
    """The compiled library, from the store; ``flags`` are added to the usual ones.

    Raises:
        Unavailable: there is no compiler. CellError: it takes the source for wrong.
    """
    command = [compiler(), *FLAGS, *flags]
    version = subprocess.run([command[0], "--version"], capture_output=True, text=True, check=True).stdout

    def build(folder: Path) -> dict[str, Any]:
        done = subprocess.run([*command, str(SHIM), "-o", str(folder / "kernel.so")], capture_output=True, text=True)
        if done.returncode:
            line = next((at for at in done.stderr.splitlines() if "error" in at), "It gives no reason.")
            raise CellError("The C++ compiler rejects the kernel.", line[:300])
        return {"flags": command[1:], "compiler": version.splitlines()[0]}

    sources = {path.name: path.read_text("utf-8") for path in (kernel.SOURCE, SHIM)}
    return store.obtain("host-kernel", key("host-kernel", sources=sources, flags=command[1:], by=version), build).file(
        "kernel.so"
    )


class HostKernel:
    """The kernels as functions on arrays. Any number of threads may call one."""

    def __init__(self, path: Path) -> None:
        self._library = ctypes.CDLL(str(path))

    def run(self, prepared: Batch, out: npt.NDArray[Any]) -> None:
        """Run the kernels over what ``prepared`` describes, into ``out``."""
        tables = np.empty(prepared.table_bytes // 4, np.int32)
        axes, images, output = (_address(a) for a in (prepared.axes, prepared.images, prepared.output))
        self._library.launch_tabulate(*prepared.table_grid, 1, axes, _address(tables), prepared.filter)
        run = getattr(self._library, f"launch_{prepared.entry}")
        run(*prepared.grid, images, axes, _address(tables), output, _address(out))

    def __call__(
        self, images: Sequence[npt.NDArray[np.uint8]], spec: PreprocessSpec, target: Target = PIXELS
    ) -> npt.NDArray[Any]:
        """RGB uint8 [h, w, 3], each of its own size → [n, height, width, 3] or [n, 3, height, width].

        bfloat16 comes as ``uint16``, its bits. Raises what :func:`engines.preprocess.kernel.batch` does.
        """
        images = [np.ascontiguousarray(image) for image in images]
        frames = [Frame(image.ctypes.data, *image.shape[:2]) for image in images]
        return self.frames(frames, spec, target)

    def frames(self, frames: Sequence[Frame], spec: PreprocessSpec, target: Target = PIXELS) -> npt.NDArray[Any]:
        """The same for photographs that lie at addresses of this process."""
        size = (spec.height, spec.width)
        shape = (len(frames), *size, 3) if target.layout == "NHWC" else (len(frames), 3, *size)
        out = np.empty(shape, STORED.get(target.type, target.type))
        self.run(kernel.batch(frames, spec, target), out)
        return out


def _address(array: npt.NDArray[Any]) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)

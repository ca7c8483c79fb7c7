"""Reads the weights of a Keras HDF5 file without Keras: needs h5py (the extra ``keras``)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from export.errors import UserError, first_line, not_installed

_KERNEL_AXES = {2: (1, 0), 4: (3, 2, 0, 1)}
"""Axes of a kernel, by their number, in PyTorch's order: Keras has [in, out] and [height, width, in, out]."""


def layers(path: Path) -> dict[str, npt.NDArray[np.float32]]:
    """The weights in the order of the layers, and within a layer in Keras' (kernel, bias), in PyTorch's layout.

    Raises:
        Unavailable: h5py is not installed.
        UserError: the file is damaged, or holds no layers of Keras.
    """
    try:
        import h5py
    except ImportError as error:
        raise not_installed("h5py", error, f"{path.name}, a Keras HDF5 file, needs") from error
    found = {}
    try:
        with h5py.File(path, "r") as file:
            root = file.get("model_weights", file)  # a whole saved model has them one group further down
            for layer in _names(root, "layer_names"):
                for name in _names(root[layer], "weight_names"):
                    values = np.asarray(root[layer][name], np.float32)
                    axes = _KERNEL_AXES.get(values.ndim)
                    found[name] = np.ascontiguousarray(values.transpose(axes))
    except (OSError, KeyError) as error:
        raise UserError(f"{path.name} is not a Keras HDF5 weights file.", first_line(error)) from error
    return found


def _names(group: Any, attribute: str) -> list[str]:
    """Names in an attribute: bytes or str, as the version of Keras that wrote them had it."""
    return [name.decode() if isinstance(name, bytes) else str(name) for name in group.attrs[attribute]]

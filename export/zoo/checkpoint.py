"""Reads a checkpoint's tensors, and nothing that could run: safetensors, or a pickle of plain tensors.

Also the ways in which tensors find their place in a module: by name and in order, after they were read out of a
TensorFlow graph, a Keras file or an ONNX file where that is where they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from export.errors import UserError, first_line

if TYPE_CHECKING:
    import torch

    State = dict[str, torch.Tensor]


def read(path: Path) -> State:
    """The tensors of a checkpoint, by name; a state nested under ``state_dict`` or ``model`` is found.

    Raises:
        UserError: the file is truncated or damaged, holds no tensors, or is a pickle that would run code.
    """
    import pickle

    import torch

    try:
        if path.suffix == ".safetensors":
            from safetensors import SafetensorError
            from safetensors.torch import load_file

            try:
                return load_file(path)
            except SafetensorError as error:
                raise UserError(f"The checkpoint {path.name} is damaged or truncated.", str(error)) from error
        found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "weights_only" in str(error) or "Unsupported" in str(error):
            raise UserError(
                f"The checkpoint {path.name} would run code when loaded, and is refused.",
                "It is a pickle that holds more than tensors.",
                "save only its state_dict(), preferably as safetensors",
            ) from error
        raise UserError(f"The checkpoint {path.name} is damaged or truncated.", first_line(error)) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise UserError(f"The checkpoint {path.name} is damaged or truncated.", first_line(error)) from error
    for name in ("state_dict_ema", "state_dict", "model_ema", "model", "teacher"):
        if isinstance(found, Mapping) and isinstance(found.get(name), Mapping):
            found = found[name]
    if not isinstance(found, Mapping) or not all(isinstance(v, torch.Tensor) for v in found.values()):
        raise UserError(f"The checkpoint {path.name} is not a state dict of tensors.")
    return dict(found)


def by_name(module: torch.nn.Module, state: State, prefix: str, what: str) -> None:
    """Load by name, after ``prefix`` is stripped; names of a classifier that the module lacks may be left over.

    Raises:
        UserError: some of the module's tensors are missing, or have another shape.
    """
    state = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
    wanted = module.state_dict()
    missing = [k for k in wanted if k not in state and not k.endswith("num_batches_tracked")]
    shapes = [k for k in wanted if k in state and wanted[k].shape != state[k].shape]
    if missing or shapes:
        raise _mismatch(what, missing, shapes, len(wanted))
    module.load_state_dict({k: v for k, v in state.items() if k in wanted}, strict=False)


def in_order(module: torch.nn.Module, state: State, what: str) -> None:
    """Load tensor by tensor in order, each shape checked: for the same network under other names.

    Raises:
        UserError: another number of tensors, or another shape at some place.
    """
    wanted = {k: v for k, v in module.state_dict().items() if not k.endswith("num_batches_tracked")}
    given = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
    shapes = [w for w, g in zip(wanted, given, strict=False) if wanted[w].shape != given[g].shape]
    if len(wanted) != len(given) or shapes:
        raise _mismatch(what, list(wanted)[len(given) :], shapes, len(wanted))
    module.load_state_dict(dict(zip(wanted, given.values(), strict=True)), strict=False)


def tensorflow_mobilenetv1(path: Path) -> State:
    """Google's MobileNetV1 out of a frozen TensorFlow graph, in the order of timm's module.

    Kernels come as [h, w, in, out] (depthwise: [h, w, in, 1]); torch wants [out, in, h, w]. The classifier is a 1x1
    convolution over 1,001 classes.
    """
    import numpy as np
    import torch

    from export.zoo.graphdef import constants

    found = constants(path.read_bytes())
    state: dict[str, Any] = {}
    root = "MobilenetV1/"

    def block(scope: str, kernel: str, axes: tuple[int, ...]) -> None:
        state[f"{scope}/{kernel}"] = np.transpose(found[f"{scope}/{kernel}"], axes)
        for name in ("gamma", "beta", "moving_mean", "moving_variance"):
            state[f"{scope}/{name}"] = found[f"{scope}/BatchNorm/{name}"]

    try:
        block(f"{root}Conv2d_0", "weights", (3, 2, 0, 1))
        for i in range(1, 14):
            block(f"{root}Conv2d_{i}_depthwise", "depthwise_weights", (2, 3, 0, 1))
            block(f"{root}Conv2d_{i}_pointwise", "weights", (3, 2, 0, 1))
        kernel = found[f"{root}Logits/Conv2d_1c_1x1/weights"]
        state["classifier.weight"] = kernel[0, 0].T
        state["classifier.bias"] = found[f"{root}Logits/Conv2d_1c_1x1/biases"]
    except KeyError as error:
        raise UserError(f"{path.name} is not a frozen MobileNetV1.", f"It has no constant {error}.") from error
    return {k: torch.from_numpy(np.array(v, order="C")) for k, v in state.items()}


def keras(path: Path) -> State:
    """The weights of a Keras HDF5 file in the order of its layers, kernels as [out, in, h, w].

    Raises:
        Unavailable, UserError: as :func:`export.zoo.keras_h5.layers`.
    """
    import torch

    from export.zoo.keras_h5 import layers

    return {name: torch.from_numpy(values) for name, values in layers(path).items()}


def onnx_vision_transformer(path: Path, module: torch.nn.Module) -> State:
    """The tensors of an exported vision transformer under timm's names, with the positions that ``module`` has.

    Raises:
        UserError: ``module`` has no position embeddings, or as :func:`export.zoo.transformers_vit.state`.
    """
    from export.zoo import transformers_vit
    from export.zoo.onnx_tensors import named

    positions = module.state_dict().get("pos_embed")
    if positions is None:
        raise UserError(f"{type(module).__name__} has no position embeddings to fill.")
    return transformers_vit.state(named(path), positions.shape[1])


def _mismatch(what: str, missing: list[str], shapes: list[str], total: int) -> UserError:
    problems = [
        f"{len(names)} of {total} tensors {how} ({', '.join(names[:3])}{', …' if len(names) > 3 else ''})"
        for names, how in ((missing, "are missing"), (shapes, "have another shape"))
        if names
    ]
    why = "; ".join(problems) or "It holds another number of tensors"
    return UserError(f"The checkpoint does not fit {what}.", f"{why}.", "name the backbone that it was trained as")

"""The tensors of a checkpoint, by name: read by what the file is, and nothing that could run.

A file of ``torch.save`` or safetensors; or the tensors of a TensorFlow graph, a Keras file or an ONNX file, where a row
of the zoo says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from export.errors import UserError, first_line
from export.zoo import formats

if TYPE_CHECKING:
    import torch

    State = dict[str, torch.Tensor]

_DEPTH = 12
"""Mappings inside mappings that are looked into: a file may hold one inside itself."""


@dataclass(frozen=True)
class Contents:
    """What a checkpoint holds.

    Attributes:
        file: its name.
        tensors: by name; the names of nested mappings are joined with dots: ``state_dict.conv1.weight``.
        levels: the beginnings of names that are mappings of their own, the whole file's ``""`` first:
            ``("", "state_dict.")``.
        others: what holds no tensor, by the name on the first level, and its class where it has one of its own.
        unread: tensors that the file holds and its reader does not use.
        ordered: whether they come in the order in which they were saved.
    """

    file: str
    tensors: State
    levels: tuple[str, ...] = ("",)
    others: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    ordered: bool = True


def read(path: Path) -> Contents:
    """The tensors of a PyTorch checkpoint, nested ones included.

    Raises:
        UserError: the file is another thing, damaged, holds no tensors, or is a pickle that would run code.
    """
    kind = formats.of(path)
    if kind == formats.SAFETENSORS:
        return Contents(path.name, _safetensors(path), ordered=False)
    if kind not in (formats.TORCH, formats.LEGACY):
        raise formats.refusal(path, kind, "a PyTorch checkpoint")
    from export.zoo import pickles

    found = pickles.load(path, zipped=kind == formats.TORCH)
    tensors: State = {}
    levels, others = list[str](), dict[str, str]()
    for name, value in _flat(found, "", (), levels):
        first = name.partition(".")[0]
        if (tensor := _tensor(value)) is None:
            others[first] = f"{name} ({type(value).name})" if isinstance(value, pickles.Unread) else first
        elif name in tensors:
            raise UserError(f"The checkpoint {path.name} has two tensors named {name!r}.")
        else:
            tensors[name] = tensor
    if not tensors:
        raise _no_tensors(path, found)
    held = {name.partition(".")[0] for name in tensors}
    return Contents(path.name, tensors, tuple(levels), tuple(v for k, v in sorted(others.items()) if k not in held))


def _safetensors(path: Path) -> State:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        found = load_file(path)
    except (SafetensorError, OSError, ValueError, KeyError, AttributeError) as error:
        raise UserError(f"The checkpoint {path.name} is damaged or truncated.", first_line(error)) from error
    if not found:
        raise UserError(f"The checkpoint {path.name} holds no tensors.")
    return found


def _flat(value: Any, name: str, above: tuple[int, ...], levels: list[str]) -> Iterator[tuple[str, Any]]:
    """Name and value of everything that holds nothing else; ``levels`` gets the beginnings of nested names."""
    inside: Mapping[Any, Any] | None = None
    if isinstance(value, Mapping) and value:
        inside = value
    elif isinstance(value, list | tuple) and any(_holds(item) for item in value):
        inside = dict(enumerate(value))
    if inside is None or id(value) in above or len(above) >= _DEPTH:
        if name:
            yield name, value
        return
    start = f"{name}." if name else ""
    levels.append(start)
    for key, item in inside.items():
        yield from _flat(item, f"{start}{key}", (*above, id(value)), levels)


def _leaves(value: Any) -> list[Any]:
    return [leaf for _, leaf in _flat(value, "", (), [])]


def _holds(item: Any) -> bool:
    return isinstance(item, Mapping | list | tuple) or _tensor(item) is not None


def _tensor(value: Any) -> torch.Tensor | None:
    import numpy as np
    import torch

    if isinstance(value, torch.Tensor):
        return value.detach()
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf" and value.dtype.itemsize <= 8:
        return torch.from_numpy(np.array(value, value.dtype.newbyteorder("="), order="C"))
    return None


def _no_tensors(path: Path, found: Any) -> UserError:
    """What a file without tensors holds instead."""
    from export.zoo.pickles import Unread, pickled_class

    pickled = [value for value in (found, *_leaves(found)) if isinstance(value, Unread)]
    if pickled:
        first = min(pickled, key=lambda value: not value.module)
        return pickled_class(path, first.name, "module" if first.module else "object")
    if isinstance(found, Mapping) and found:
        names = [str(name) for name in found]
        why = f"Its keys are {', '.join(names[:8])}{', …' if len(names) > 8 else ''}."
    else:
        why = f"It holds {'nothing' if isinstance(found, Mapping) else f'a {type(found).__name__}'}."
    return UserError(f"The checkpoint {path.name} holds no tensors.", why, "save the state_dict() of the network")


def tensorflow_mobilenetv1(path: Path) -> Contents:
    """Google's MobileNetV1 out of a frozen TensorFlow graph, in the order of timm's module.

    Kernels come as [h, w, in, out] (depthwise: [h, w, in, 1]); torch wants [out, in, h, w]. The classifier is a 1x1
    convolution over 1,001 classes.

    Raises:
        UserError: the file is another thing, or of another network.
    """
    import numpy as np
    import torch

    from export.zoo.graphdef import constants

    formats.expect(path, formats.GRAPHDEF)
    found = constants(path.read_bytes())
    used: set[str] = set()
    state: dict[str, Any] = {}
    root = "MobilenetV1/"

    def taken(name: str) -> Any:
        used.add(name)
        return found[name]

    def block(scope: str, kernel: str, axes: tuple[int, ...]) -> None:
        state[f"{scope}/{kernel}"] = np.transpose(taken(f"{scope}/{kernel}"), axes)
        for name in ("gamma", "beta", "moving_mean", "moving_variance"):
            state[f"{scope}/{name}"] = taken(f"{scope}/BatchNorm/{name}")

    try:
        block(f"{root}Conv2d_0", "weights", (3, 2, 0, 1))
        for i in range(1, 14):
            block(f"{root}Conv2d_{i}_depthwise", "depthwise_weights", (2, 3, 0, 1))
            block(f"{root}Conv2d_{i}_pointwise", "weights", (3, 2, 0, 1))
        kernel = taken(f"{root}Logits/Conv2d_1c_1x1/weights")
        state["classifier.weight"] = kernel[0, 0].T
        state["classifier.bias"] = taken(f"{root}Logits/Conv2d_1c_1x1/biases")
    except (KeyError, ValueError, IndexError) as error:
        raise UserError(f"{path.name} is not a frozen MobileNetV1.", f"It has no constant {error}.") from error
    unread = tuple(name for name, values in found.items() if name not in used and values.size > 1)
    return Contents(path.name, {k: torch.from_numpy(np.array(v, order="C")) for k, v in state.items()}, unread=unread)


def keras(path: Path) -> Contents:
    """The weights of a Keras HDF5 file in the order of its layers, kernels as [out, in, h, w].

    Raises:
        Unavailable, UserError: the file is another thing; or as :func:`export.zoo.keras_h5.layers`.
    """
    import torch

    from export.zoo.keras_h5 import layers

    formats.expect(path, formats.HDF5)
    return Contents(path.name, {name: torch.from_numpy(values) for name, values in layers(path).items()})


def onnx_vision_transformer(path: Path, module: torch.nn.Module) -> Contents:
    """The tensors of an exported vision transformer under timm's names, with the positions that ``module`` has.

    Raises:
        UserError: the file is another thing, ``module`` has no position embeddings, or as
            :func:`export.zoo.transformers_vit.state`.
    """
    from export.zoo import transformers_vit
    from export.zoo.onnx_tensors import named

    patches = getattr(module, "patch_embed", None)
    if patches is None or "pos_embed" not in module.state_dict():
        raise UserError(f"{type(module).__name__} has no position embeddings to fill.")
    tensors = named(path)
    unread = tuple(transformers_vit.left_out(tensors))
    return Contents(path.name, transformers_vit.state(tensors, patches.grid_size), unread=unread)

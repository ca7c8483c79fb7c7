"""Checkpoints as people save them, around small networks of timm's."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import torch

from export.torchvision_ops import import_timm
from export.zoo.backbones import Backbone
from export.zoo.readers import Reader
from export.zoo.sources import Checkpoint, LocalFile, TimmCheckpoint, TimmModel

RESNET, VIT = "test_resnet.r160_in1k", "test_vit.r160_in1k"

State = dict[str, torch.Tensor]


@cache
def network(name: str = RESNET, seed: int = 1, **arguments: int) -> torch.nn.Module:
    """A network with its classifier, and statistics that are not those of a fresh one. Not to be changed."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module: torch.nn.Module = import_timm().create_model(name.split(".")[0], pretrained=False, **arguments)
        for buffer_name, buffer in module.named_buffers():
            if buffer_name.endswith(("mean", "var")):
                buffer.uniform_(0.5, 1.5)
    return module.eval()


def saved(file: Path, name: str = RESNET) -> list[str]:
    """Save a network without its classifier; the options of a sweep of it, in which it counts as trained."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        torch.save(import_timm().create_model(name.split(".")[0], num_classes=0).state_dict(), file)
    return ["--models", name, "--weights", f"{name}={file}"]


def state(name: str = RESNET, seed: int = 1, **arguments: int) -> State:
    """Its tensors, each a copy."""
    return {k: v.clone() for k, v in network(name, seed, **arguments).state_dict().items()}


@cache
def features(name: str = RESNET, seed: int = 1) -> torch.Tensor:
    """What the network gives for :func:`images`, before its classifier: float32 [2, d]."""
    module = network(name, seed)
    with torch.inference_mode():
        found: torch.Tensor = module.forward_head(module.forward_features(images()), pre_logits=True)  # type: ignore[operator]
    return found


@cache
def images() -> torch.Tensor:
    """float32 [2, 3, 160, 160]."""
    return torch.rand(2, 3, 160, 160, generator=torch.Generator().manual_seed(5))


def backbone(
    file: Path, reader: Reader | None = None, name: str = RESNET, prefix: str = "", classes: int = 1000
) -> Backbone:
    """A request for the network with the weights of a file: read by timm's names, or by ``reader``."""
    local = LocalFile(file)
    weights = Checkpoint(local, reader) if reader else TimmCheckpoint(local, prefix)
    return Backbone("mine", TimmModel(name, weights, classes=classes))


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Networks this small are slower on several threads; import it to use it."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)

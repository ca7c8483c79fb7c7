"""Top-1 of checkpoints with their own ImageNet head, through every engine: it shows that weights, preprocessing and
engines are right together. (Most of the photographs are training images, so it is no validation accuracy.)
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.figures.deployed import deployed
from bench.figures.figure import Figure, figure, lying_in
from bench.sweep.features import stream
from engines.base import EngineSpec
from engines.catalog import ENGINES, engine
from engines.processor import cores
from export.store import Store
from export.zoo.backbones import resolve
from export.zoo.loaders import eager
from tasks.data.base import DataSet, Sample

WANTED = {"efficientnet_lite0": 87.8, "efficientnet_lite1": 89.6, "efficientnet_lite2": 90.0}
"""Measured with timm's own transform and eager PyTorch on the same thousand files."""


def figures(store: Store, shared: Path) -> Iterator[Figure]:
    """One a checkpoint and engine, and one of timm's transform with eager PyTorch."""
    archive = lying_in(shared, "imagenet1k.tar", "top1")
    if archive is None:
        return
    for model, wanted in WANTED.items():
        for name, value in accuracies(store, archive, model):
            yield figure(
                f"Top-1 of {model}, {name}, %",
                [value],
                f"{wanted} ± 0.5",
                lambda v, wanted=wanted: abs(v - wanted) <= 0.5,  # type: ignore[misc]
                "own head, 1,000 ImageNet photographs, our preprocessing, the engine's own output",
            )


def images(archive: Path) -> DataSet:
    """A tar of ``INDEX_WNID_NAME.jpg``, INDEX being the class."""
    with tarfile.open(archive) as tar:
        encoded = {Path(m.name).name: tar.extractfile(m).read() for m in tar if m.isfile()}  # type: ignore[union-attr]
    samples = [Sample(name, int(name.split("_")[0]), "test") for name in sorted(encoded)]
    return DataSet("imagenet1k", samples, tuple(map(str, range(1000))), "", encoded.__getitem__)


def accuracies(store: Store, archive: Path, model: str) -> Iterator[tuple[str, float]]:
    """(engine, top-1 in percent): first timm's transform with eager PyTorch, then each engine that runs here."""
    data = images(archive)
    backbone = replace(resolve(model), name=f"{model}@logits", output="logits")
    yield "timm's transform, eager", _eager(store, data, backbone)
    labels = np.array([s.label for s in data.samples])
    for runtime in ENGINES:
        spec = EngineSpec(runtime, streams=cores())
        if not engine(spec).computes or not engine(spec).available().ok:
            continue
        found = deployed(store, backbone, spec, (8,))
        with found.load() as session:
            name = session.outputs[0].name
            logits = stream(session, found.path, data, data.samples, [name])[name]
        yield str(found.plan.engine), 100 * float((logits.argmax(axis=1) == labels).mean())


def _eager(store: Store, data: DataSet, backbone: Any) -> float:
    import io

    import torch
    from PIL import Image

    from export.torchvision_ops import import_timm

    timm = import_timm()
    loaded = eager(backbone, store)
    transform = timm.data.create_transform(**timm.data.resolve_data_config({}, model=loaded.module))
    right = 0
    with torch.inference_mode():
        for start in range(0, len(data.samples), 25):
            group = data.samples[start : start + 25]
            batch = torch.stack([transform(Image.open(io.BytesIO(data.read(s.id))).convert("RGB")) for s in group])
            right += int((loaded.module(batch).argmax(1).numpy() == [s.label for s in group]).sum())
    return 100 * right / len(data.samples)

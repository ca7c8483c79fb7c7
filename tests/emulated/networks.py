"""Networks for boards: small ones that are made here, in fp32 and INT8, and real ones of the user's store."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from engines.base import Pixels
from export.artifact import ONNX, Artifact
from export.spec import Precision, PreprocessSpec
from export.store import MANIFEST, Store, default_store, key

SIDE = 32


def pixels(count: int, side: int = SIDE) -> Pixels:
    """Images of smooth random colours, uint8 [count, side, side, 3]."""
    from PIL import Image

    small = np.random.default_rng(0).integers(0, 256, (count, 5, 5, 3), dtype=np.uint8)
    return np.stack([np.asarray(Image.fromarray(s).resize((side, side))) for s in small])


def convolutions() -> Any:
    """float32 [n, 3, h, w] → [n, 16]: convolutions, and nothing else that multiplies."""
    import torch
    from torch import nn

    with torch.random.fork_rng():
        torch.manual_seed(3)
        widths = (3, 16, 16, 16, 16)
        blocks = [nn.Sequential(nn.Conv2d(a, b, 3, 1, 1), nn.ReLU()) for a, b in pairwise(widths)]
        return nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()


def made(net: Callable[[], Any], precision: Precision, store: Store) -> Artifact:
    """A network of the tests' own, exported and, for INT8, quantised by the project's functions."""

    def build(folder: Path) -> dict[str, Any]:
        import torch
        from nets import export

        module = net()
        with torch.no_grad():
            width = module(torch.rand(1, 3, SIDE, SIDE)).shape[1]
        export(module, SIDE, folder / ONNX)
        spec = PreprocessSpec(SIDE, SIDE, "bilinear", 1.0)
        if precision is Precision.INT8:
            _quantise(folder / ONNX, spec)
        return {
            "backbone": net.__name__,
            "precision": str(precision),
            "preprocess": spec.as_json(),
            "input": "pixel_values",
            "outputs": [{"name": "features", "shape": [width], "dtype": "float32"}],
            "untrained": True,
            "parameters": 0,
            "gmacs": None,
            "source": {},
            "parity": None,
        }

    return Artifact.of(store.obtain("onnx", key("emulated", net=net.__name__, precision=str(precision)), build))


def _quantise(file: Path, spec: PreprocessSpec) -> None:
    import onnx

    from engines.preprocess.normalize import Normalizer
    from export.lower.activations import histograms
    from export.lower.precision import fp32_model
    from export.lower.quantization import activations, minmax, quantized

    model = fp32_model(file)
    seen, _ = histograms(model, activations(model), Normalizer(spec)(pixels(8)))
    thresholds = {name: minmax(one) for name, one in seen.items()}
    onnx.save(quantized(model, thresholds, Precision.INT8, half_range=True), file)


def stored(backbone: str, precision: Precision, store: Store) -> tuple[Artifact, Pixels] | None:
    """A trained network of the user's store, whole, with the smallest input that it has there, brought into ``store``;
    and the photographs that it was compared on. None where there is none."""
    found = []
    for manifest in (default_store() / "onnx").glob(f"*/{MANIFEST}"):
        fields = json.loads(manifest.read_text())["fields"]
        whole = [output["name"] for output in fields["outputs"]] == ["features"] and not fields["untrained"]
        if whole and (fields["backbone"], fields["precision"]) == (backbone, precision):
            found.append((-fields["parameters"], fields["preprocess"]["height"], manifest.parent))
    for *_, folder in sorted(found):
        shutil.copytree(folder, store.root / "onnx" / folder.name, dirs_exist_ok=True)
        entry = store.try_load("onnx", folder.name)
        with suppress(msgspec.ValidationError):  # an older version made it
            artifact = Artifact.of(entry) if entry else None
            if artifact and (compared := artifact.reference()):
                return artifact, compared.pixels
    return None

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import conv2d, max_pool2d, relu

from export.convert.outputs import module_with_outputs
from export.convert.photographs import photographs
from export.picture import decode
from export.reference import normalize, resize_and_crop
from export.store import Store
from export.zoo import weights
from export.zoo.backbones import resolve
from export.zoo.loaders import eager
from export.zoo.squeezenet import squeezenet1_1


def test_the_classifier_is_taken_off_and_maps_are_given() -> None:
    module = squeezenet1_1().eval()
    images = torch.rand(2, 3, 227, 227)
    with torch.inference_mode():
        assert module(images).shape == (2, 1000)
        module.reset_classifier(0)  # type: ignore[operator]
        features = module(images)
        wrapped: Any = module_with_outputs(module, "features", ["all"])
        found = dict(zip(wrapped.names, wrapped(images), strict=True))
    assert {name: tuple(t.shape[1:]) for name, t in found.items()} == {
        "features": (512,),
        "map_s4": (128, 56, 56),
        "map_s8": (256, 27, 27),
        "map_s16": (512, 13, 13),
    }
    torch.testing.assert_close(found["features"], features)
    torch.testing.assert_close(found["map_s16"].mean((2, 3)), features)


@pytest.mark.network
def test_the_published_weights_compute_what_the_keras_graph_computes(store: Store) -> None:
    """Against the graph written down from the weights' own names, on pixels prepared by their authors' formula."""
    h5py = pytest.importorskip("h5py")
    backbone = resolve("squeezenet1_1")
    features, logits = (eager(replace(backbone, output=output), store) for output in ("features", "logits"))
    pixels = np.stack([resize_and_crop(decode(e), features.preprocess) for e in photographs(store)[:4]])
    bgr = pixels[..., ::-1].astype(np.float32) - np.array([103.939, 116.779, 123.68], np.float32)
    with h5py.File(weights.fetch(backbone, store)) as file, torch.inference_mode():

        def layer(x: torch.Tensor, name: str, stride: int = 1, padding: int = 0) -> torch.Tensor:
            kernel, bias = (torch.from_numpy(file[name][f"{name}_{kind}:0"][:]) for kind in "Wb")
            return relu(conv2d(x, kernel.permute(3, 2, 0, 1), bias, stride, padding))

        x = torch.from_numpy(np.ascontiguousarray(bgr.transpose(0, 3, 1, 2)))
        x = max_pool2d(layer(x, "conv1", stride=2), 3, 2)
        for i in range(2, 10):
            x = layer(x, f"fire{i}/squeeze1x1")
            x = torch.cat([layer(x, f"fire{i}/expand1x1"), layer(x, f"fire{i}/expand3x3", padding=1)], dim=1)
            x = max_pool2d(x, 3, 2) if i in (3, 5) else x
        images = torch.from_numpy(normalize(pixels, features.preprocess))
        torch.testing.assert_close(features.module(images), x.mean((2, 3)))
        torch.testing.assert_close(logits.module(images), layer(x, "conv10").mean((2, 3)))

"""The meaning of a PreprocessSpec, pixel for pixel, is that of timm's own evaluation transform."""

from __future__ import annotations

import tarfile
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from export.errors import UserError
from export.picture import decode
from export.reference import normalize, resize_and_crop
from export.spec import CropMode, Interpolation, PreprocessSpec
from export.store import Store
from export.torchvision_ops import import_timm
from export.zoo.backbones import listing
from export.zoo.inputs import preprocess_of
from export.zoo.loaders import eager

timm = import_timm()
CONFIGS = st.fixed_dictionaries(
    {
        "input_size": st.tuples(st.just(3), st.integers(4, 48), st.integers(4, 48))
        | st.integers(4, 48).map(lambda side: (3, side, side)),
        "interpolation": st.sampled_from(get_args(Interpolation)),
        "crop_pct": st.sampled_from([0.5, 0.8, 0.875, 0.9, 0.95, 1.0]),
        "crop_mode": st.sampled_from(get_args(CropMode)),
        "mean": st.tuples(*[st.floats(0, 1, width=32)] * 3).filter(any),  # timm takes a mean of zeros for none
        "std": st.tuples(*[st.floats(0.125, 1, width=32)] * 3),
    }
)


def drawn(height: int, width: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def must_be_timms(image: npt.NDArray[np.uint8], config: Mapping[str, Any]) -> None:
    spec = preprocess_of(config)
    pixels = resize_and_crop(image, spec)
    wanted = timm.data.create_transform(**config, normalize=False)(Image.fromarray(image))
    np.testing.assert_array_equal(pixels.transpose(2, 0, 1), wanted.numpy())
    values = timm.data.create_transform(**config)(Image.fromarray(image))
    np.testing.assert_array_equal(normalize(pixels[None], spec)[0], values.numpy())


@settings(max_examples=300)
@given(CONFIGS, st.integers(12, 120), st.integers(12, 120), st.integers(0, 3))
def test_any_configuration_on_any_size(config: dict[str, Any], height: int, width: int, seed: int) -> None:
    vanishes = config["crop_mode"] == "border" and max(height, width) / min(height, width) > 7
    assume(not (vanishes and min(config["input_size"][1:]) < 8))  # timm resizes such a strip to nothing, and fails
    must_be_timms(drawn(height, width, seed), config)


def test_a_strip_that_would_vanish_keeps_a_pixel() -> None:
    spec = PreprocessSpec(height=8, width=8, interpolation="bilinear", crop_mode="border", fill=(9, 9, 9))
    pixels = resize_and_crop(np.full((2, 100, 3), 200, np.uint8), spec)
    assert (pixels == 200).all(axis=(1, 2)).sum() == 1
    assert (pixels == 9).all(axis=(1, 2)).sum() == 7


def configurations() -> list[dict[str, Any]]:
    """Those of the whole zoo, each once."""
    found = {}
    for timm_id in sorted({row.timm for row in listing() if row.timm}):
        config = timm.data.resolve_data_config({}, pretrained_cfg=timm.get_pretrained_cfg(timm_id).to_dict())
        found[repr(config)] = config
    return list(found.values())


@pytest.mark.parametrize("config", configurations(), ids=repr)
def test_every_configuration_of_the_zoo(config: dict[str, Any]) -> None:
    for height, width in [(375, 500), (333, 211), (97, 640), (1, 1)]:
        must_be_timms(drawn(height, width), config)


@pytest.mark.data
@pytest.mark.parametrize("mode", get_args(CropMode))
def test_real_photographs(mode: CropMode, shared_data: Path) -> None:
    config = {
        "input_size": (3, 224, 288),
        "interpolation": "bicubic",
        "crop_pct": 0.9,
        "crop_mode": mode,
        "mean": (0.48145466, 0.4578275, 0.40821073),
        "std": (0.26862954, 0.26130258, 0.27577711),
    }
    square = {**config, "input_size": (3, 224, 224), "interpolation": "bilinear"}
    with tarfile.open(shared_data / "imagenet1k.tar") as tar:
        for member in islice((m for m in tar if m.isfile()), 0, 400, 20):
            file = tar.extractfile(member)
            assert file is not None
            image = decode(file.read())
            must_be_timms(image, config)
            must_be_timms(image, square)


def test_the_checkpoints_own_configuration_is_taken(store: Store) -> None:
    from export.zoo.backbones import resolve

    for name in ("tf_efficientnet_lite1.in1k@random", "mobilenetv3_small_050.lamb_in1k@random"):
        loaded = eager(resolve(name), store)
        own = timm.data.resolve_data_config({}, pretrained_cfg=timm.get_pretrained_cfg(name.split("@")[0]).to_dict())
        assert loaded.preprocess == preprocess_of(own)
        with torch.inference_mode():
            pixels = resize_and_crop(drawn(100, 80), loaded.preprocess)
            assert loaded.module(torch.from_numpy(normalize(pixels[None], loaded.preprocess))).ndim == 2


@pytest.mark.parametrize(
    "change",
    [{"interpolation": "random"}, {"interpolation": "hamming"}, {"crop_mode": "corner"}, {"input_size": (1, 28, 28)}],
)
def test_what_the_spec_cannot_say_gets_a_sentence(change: dict[str, Any]) -> None:
    config = timm.data.resolve_data_config({}, pretrained_cfg=timm.get_pretrained_cfg("resnet18.a1_in1k").to_dict())
    with pytest.raises(UserError):
        preprocess_of({**config, **change})

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from export.errors import CellError
from export.reference import resize_and_crop
from export.store import Store
from export.torchvision_ops import import_timm
from export.zoo.backbones import resolve
from export.zoo.loaders import eager


def at(name: str, size: str) -> tuple[int, int]:
    spec = eager(replace(resolve(f"{name}@random"), size=size), Store(Path())).preprocess
    return spec.height, spec.width


@pytest.mark.parametrize(
    ("name", "asked", "taken"),
    [
        ("test_resnet.r160_in1k", "128x160", (128, 160)),
        ("test_resnet.r160_in1k", "150x100", (160, 96)),
        ("test_vit.r160_in1k", "150x100", (144, 96)),
    ],
)
def test_a_size_is_rounded_to_the_largest_stride(name: str, asked: str, taken: tuple[int, int]) -> None:
    assert at(name, asked) == taken


def test_a_side_below_the_largest_stride_is_refused() -> None:
    with pytest.raises(CellError, match="cannot take an input of 64x20") as refused:
        at("test_resnet.r160_in1k", "64x20")
    assert "Its largest stride is 32" in refused.value.why


@pytest.mark.parametrize("size", ["96x96", "224x160"])
def test_position_grids_are_resized_as_timm_does_it(size: str, tmp_path: Path) -> None:
    timm = import_timm()
    torch.manual_seed(2)
    trained, file = timm.create_model("test_vit", num_classes=0), tmp_path / "vit.pth"
    torch.nn.init.normal_(trained.pos_embed)
    torch.save(trained.state_dict(), file)
    height, width = map(int, size.split("x"))
    found = eager(replace(resolve("test_vit.r160_in1k", weights=file), size=size), Store(tmp_path)).module
    trained.set_input_size((height, width))  # timm's own: bicubic, antialiased
    assert isinstance(found.pos_embed, torch.Tensor)
    assert found.pos_embed.shape == (1, 1 + height // 16 * (width // 16), trained.embed_dim)
    torch.testing.assert_close(found.pos_embed, trained.pos_embed.detach())


@pytest.mark.parametrize("size", ["96x96", "256x256"])
def test_the_resize_before_the_crop_goes_with_the_input_as_in_timm_s_evaluation(size: str) -> None:
    timm = import_timm()
    loaded = eager(replace(resolve("test_efficientnet.r160_in1k@random"), size=size), Store(Path()))
    side = loaded.preprocess.height
    config = timm.data.resolve_data_config({"input_size": (3, side, side)}, model=loaded.module)
    evaluation = timm.data.create_transform(**config)
    pixels = np.random.default_rng(0).integers(0, 256, (300, 410, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    for step in evaluation.transforms[:2]:  # resize, crop
        image = step(image)
    assert config["crop_pct"] == loaded.preprocess.crop_pct < 1
    np.testing.assert_array_equal(resize_and_crop(pixels, loaded.preprocess), np.asarray(image))

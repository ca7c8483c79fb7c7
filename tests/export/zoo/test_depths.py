from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
from nets import tiny

from export.errors import CellError
from export.torchvision_ops import import_timm
from export.zoo.depths import cut, every

STAGES = ["test_efficientnet", "test_resnet", "test_convnext", "test_nfnet"]
BLOCKS: list[tuple[str, dict[str, Any]]] = [("test_vit", {}), ("test_vit", {"global_pool": "avg"}), ("test_vit2", {})]
"""Pooled to the class token, and to the mean of the patches with a norm behind it."""


def made(name: str, **arguments: Any) -> Any:
    torch.manual_seed(5)
    return import_timm().create_model(name, num_classes=0, **arguments).eval()


def photographs(side: int = 64) -> torch.Tensor:
    return torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_s_feature_is_the_mean_of_the_map_that_timm_gives(name: str) -> None:
    whole, x = made(name), photographs()
    with torch.inference_mode():
        maps = whole.forward_intermediates(x, intermediates_only=True)
        for depth, wanted in enumerate(maps, 1):
            found = cut(name, deepcopy(whole), depth)(x)
            np.testing.assert_allclose(found, wanted.mean((2, 3)), rtol=1e-5, atol=1e-6)


def test_stages_are_those_of_features_only() -> None:
    whole, x = made("test_resnet"), photographs()
    pyramid = made("test_resnet", features_only=True)
    pyramid.load_state_dict(whole.state_dict())
    with torch.inference_mode():
        for depth, wanted in enumerate(pyramid(x), 1):
            np.testing.assert_allclose(cut("", deepcopy(whole), depth)(x), wanted.mean((2, 3)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("name", "arguments"), BLOCKS)
def test_a_block_s_feature_is_pooled_as_the_network_s_own(name: str, arguments: dict[str, Any]) -> None:
    whole, x = made(name, **arguments), photographs(160)
    with torch.inference_mode():
        blocks = len(whole.blocks)
        both = whole.forward_intermediates(x, norm=True, return_prefix_tokens=True, output_fmt="NLC")[1]
        for depth, (patches, prefix) in enumerate(both, 1):
            wanted = whole.forward_head(torch.cat([prefix, patches], 1))
            found = cut(name, deepcopy(whole), depth)(x)
            np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(cut(name, deepcopy(whole), blocks)(x), whole(x), rtol=1e-5, atol=1e-6)


def test_what_lies_behind_the_cut_is_gone_and_maps_before_it_are_there() -> None:
    def parameters(depth: int) -> int:
        return sum(p.numel() for p in cut("", made("test_efficientnet"), depth).parameters())

    counts = [parameters(depth) for depth in range(1, 6)]
    assert counts == sorted(set(counts))
    assert counts[-1] < sum(p.numel() for p in made("test_efficientnet").parameters()), (
        "its last convolution is no stage"
    )
    third: Any = cut("", made("test_efficientnet"), 3)
    assert [info["reduction"] for info in third.feature_info] == [2, 4, 8]
    with torch.inference_mode():
        last, maps = third.forward_intermediates(photographs())
    assert [tuple(m.shape[2:]) for m in maps] == [(32, 32), (16, 16), (8, 8)]
    assert last is maps[-1]


def test_the_last_depth_counts_only_where_it_is_not_the_whole() -> None:
    assert every("", made("test_efficientnet")) == [1, 2, 3, 4, 5]
    vit = made("test_vit")
    assert every("", vit) == list(range(1, len(vit.blocks)))
    with torch.device("meta"):
        assert every("", import_timm().create_model("test_vit", num_classes=0)) == every("", vit)


@pytest.mark.parametrize(("name", "depth", "why"), [("test_resnet", 6, "It has 5 stages"), ("test_vit", 99, "blocks")])
def test_a_network_that_is_not_so_deep_says_how_deep_it_is(name: str, depth: int, why: str) -> None:
    with pytest.raises(CellError, match=f"'net' has no depth {depth}") as refused:
        cut("net", made(name), depth)
    assert why in refused.value.why


def test_a_module_without_stages_cannot_be_cut() -> None:
    with pytest.raises(CellError, match="'mine' cannot be cut at a depth"):
        cut("mine", tiny(), 1)

from __future__ import annotations

import sys
from pathlib import Path

import onnx
import pytest
import torch

from bench.sweep.gate import check
from engines.base import EngineSpec, Profile
from engines.catalog import engine
from export.convert.onnx_from_torch import artifact
from export.errors import for_user
from export.store import Store
from export.zoo.backbones import Backbone, resolve
from export.zoo.diffusion import PROMPT_TOKENS, stable_diffusion_1_4
from export.zoo.loaders import eager
from export.zoo.sources import ModuleFunction, RandomWeights

pytest.importorskip("diffusers", reason="the extra study, which Python 3.10 does not have")
from diffusion_files import SMALL

PREPROCESS = {"height": 64, "width": 64, "crop_pct": 1.0, "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}


@pytest.fixture(scope="module")
def small() -> Backbone:
    source = ModuleFunction("export.zoo.diffusion:stable_diffusion_1_4", RandomWeights(), SMALL)
    return Backbone("small_diffusion@random", source, PREPROCESS)


def test_random_weights_are_the_same_each_time(small: Backbone, store: Store) -> None:
    one, other = (eager(small, store).module.state_dict() for _ in range(2))
    assert one.keys() == other.keys()
    assert all(one[name].equal(other[name]) for name in one)
    assert one["text"].shape == (1, 77, SMALL["context"])
    assert one["text"].std() > 0.9


def test_features_do_not_depend_on_the_other_images(small: Backbone, store: Store) -> None:
    module = eager(small, store).module
    images = torch.rand(3, 3, 64, 128, generator=torch.Generator().manual_seed(4))
    with torch.inference_mode():
        together, alone = module(images), torch.cat([module(image[None]) for image in images])
    assert together.shape == (3, 4 * SMALL["width"])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["ort", "openvino"])
def test_the_compiled_file_is_the_network(small: Backbone, name: str, shared_store: Store, photos: Path) -> None:
    pytest.importorskip({"ort": "onnxruntime"}.get(name, name), reason=f"the engine {name} is not installed")
    made = artifact(small, shared_store, images=photos)
    assert made.untrained
    assert made.parity is not None
    assert made.parity.passed
    built = engine(EngineSpec.parse(name, threads=1))
    found = check(built, built.plan(made, Profile((1,)), shared_store), shared_store)
    assert found is not None
    assert found.passed


def test_time_and_text_are_constants_of_the_file(small: Backbone, shared_store: Store, photos: Path) -> None:
    """Nothing that reads them is left: neither the maps of the time nor keys and values of the text."""
    graph = onnx.load(artifact(small, shared_store, images=photos).onnx).graph
    assert not [node.name for node in graph.node if node.op_type == "Gemm"], "a linear map of the time"
    shapes = [tuple(tensor.dims) for tensor in graph.initializer]
    heads = SMALL["heads"]
    keys = sorted((1, heads, SMALL["width"] * level // heads, 77) for level in (1, 1, 2, 2, 4, 4, 4))
    assert sorted(shape for shape in shapes if shape[-1:] == (77,)) == keys
    assert sum(77 in shape for shape in shapes) == 2 * len(keys), "values beside the keys, and not the text itself"


@pytest.mark.slow
def test_the_network_in_its_own_size(store: Store) -> None:
    row = resolve("stable_diffusion_1_4@random")
    loaded = eager(row, store)
    assert sum(p.numel() for p in loaded.module.parameters()) == 382_876_624 + PROMPT_TOKENS * 768
    side = loaded.preprocess.height
    assert (side, loaded.preprocess.mean, loaded.preprocess.std) == (256, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    images = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(6)) * 2 - 1
    with torch.inference_mode():
        features = loaded.module(images)
    assert features.shape == (2, 1280)
    assert features.isfinite().all()
    assert not features[0].allclose(features[1])


class _NoDiffusers:
    """Finds no diffusers, whatever is installed."""

    def find_spec(self, name: str, *_: object) -> None:
        if name == "diffusers":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def test_without_diffusers_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "diffusers"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [_NoDiffusers(), *sys.meta_path])
    with pytest.raises(ModuleNotFoundError) as error:
        stable_diffusion_1_4()
    said = for_user(error.value)
    assert said is not None
    assert said.remedy == "pip install 'backbones-deployed[study]'"

from __future__ import annotations

import logging
import sys
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper

from export.artifact import Artifact
from export.convert.onnx_from_torch import artifact, artifact_key
from export.errors import Unavailable, UserError
from export.store import Store
from export.torchvision_ops import import_timm
from export.zoo.backbones import resolve
from export.zoo.loaders import eager, eager_of
from export.zoo.sources import TimmModel

SMALL = ["test_vit.r160_in1k@random", "test_resnet.r160_in1k@random", "test_efficientnet.r160_in1k@random"]


def make(name: str, store: Store, photos: Path, taps: Sequence[str] = ()) -> Artifact:
    return artifact(resolve(name), store, images=photos, taps=taps)


def passed(made: Artifact) -> bool:
    return made.parity is not None and made.parity.passed


def run(made: Artifact, batch: int) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(str(made.onnx), providers=["CPUExecutionProvider"])
    side = made.preprocess.height
    x = np.random.default_rng(batch).normal(size=(batch, 3, side, side)).astype(np.float32)
    return [x, *session.run([o.name for o in made.outputs], {made.input: x})]


@pytest.mark.parametrize("name", SMALL)
def test_the_file_is_the_eager_module(name: str, shared_store: Store, photos: Path) -> None:
    made = make(name, shared_store, photos)
    assert made.untrained
    assert passed(made)
    assert made.fields["compared"]["batches"] == [1, 5]
    module = eager_of(made, shared_store)
    for batch in (1, 3, 7):
        x, found = run(made, batch)
        assert found.shape == (batch, *made.outputs[0].shape)
        wanted = module(torch.from_numpy(x)).numpy()
        np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-4 * np.abs(wanted).max())
    assert made.parameters == sum(p.numel() for p in module.parameters())
    assert made.gmacs
    assert made.gmacs > 0


def test_layer_normalization_stays_one_operator(shared_store: Store, photos: Path) -> None:
    made = make(SMALL[0], shared_store, photos)
    operators = Counter(node.op_type for node in onnx.load(made.onnx).graph.node)
    assert operators["LayerNormalization"] > 0
    assert operators["ReduceMean"] <= 1, "a LayerNorm in pieces overflows in fp16"


@pytest.mark.parametrize(
    ("name", "outputs"), [(SMALL[0], {"tokens"}), (SMALL[1], {"map_s4", "map_s8", "map_s16", "map_s32"})]
)
def test_maps_and_tokens(name: str, outputs: set[str], shared_store: Store, photos: Path) -> None:
    made = make(name, shared_store, photos, taps=["all"])
    shapes = {o.name: o.shape for o in made.outputs}
    assert set(shapes) - {"features"} >= outputs if "tokens" in outputs else set(shapes) & outputs
    assert made.outputs[0].name == "features"
    x, features, *_ = run(made, 3)
    np.testing.assert_allclose(
        features, eager_of(made, shared_store)(torch.from_numpy(x)).numpy(), rtol=1e-3, atol=1e-3
    )
    for shape in (s for n, s in shapes.items() if n.startswith("map_s")):
        assert len(shape) == 3


def test_reparametrised_networks_equal_the_unfolded_twin(shared_store: Store, photos: Path) -> None:
    made = make("repvit_m0_9@random", shared_store, photos)
    assert passed(made)


def test_any_other_setting_is_another_key(store: Store, photos: Path) -> None:
    base = resolve(SMALL[1])
    assert isinstance(base.source, TimmModel)
    keys = {
        artifact_key(base, store),
        artifact_key(base, store, taps=["all"]),
        artifact_key(base, store, images=photos),
        artifact_key(replace(base, output="logits"), store),
        artifact_key(replace(base, source=replace(base.source, arguments={"drop_rate": 0.1})), store),
        artifact_key(replace(base, preprocess={"crop_pct": 1.0}), store),
        artifact_key(resolve(SMALL[2]), store),
    }
    assert len(keys) == 7


def test_a_module_of_ones_own(store: Store, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_backbone.py").write_text(
        "import torch\n"
        "class Net(torch.nn.Module):\n"
        "    preprocess = {'height': 64, 'width': 48, 'crop_pct': 1.0}\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.conv = torch.nn.Conv2d(3, 8, 3, stride=2)\n"
        "    def forward(self, x):\n"
        "        return self.conv(x).relu().mean((2, 3))\n"
        "def make(): return Net()\n"
        "def pixels(): return torch.nn.Identity()\n"
        "def nothing(): return 3\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    made = make("my_backbone:make", store, photos)
    assert (made.preprocess.height, made.preprocess.width) == (64, 48)
    assert made.outputs[0].shape == (8,)
    assert passed(made)
    with pytest.raises(UserError, match="does not return features"):
        make("my_backbone:pixels", store, photos)
    with pytest.raises(UserError, match="returned a int"):
        make("my_backbone:nothing", store, photos)
    with pytest.raises(UserError, match="No module"):
        make("no_such_module_xyz:make", store, photos)


@pytest.mark.parametrize("fused", [0, 1, 2])
def test_the_state_of_libraries_is_given_back(
    fused: int, store: Store, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_timm()
    from timm.layers import config

    (tmp_path / "attentive.py").write_text(
        "import timm\n"
        "KEPT = []\n"
        "def make():\n"
        "    KEPT.append(timm.create_model('test_vit', num_classes=0))\n"
        "    return KEPT[0]\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(config, "_USE_FUSED_ATTN", fused)
    logger = logging.getLogger("torch.onnx")
    monkeypatch.setattr(logger, "level", logging.DEBUG)

    def state() -> list[Any]:
        random = torch.get_rng_state().tolist()
        flags = (config._USE_FUSED_ATTN, config._EXPORTABLE, torch.is_grad_enabled(), torch.get_default_dtype())
        streams = (sys.stdout, sys.stderr, logger.level, list(warnings.filters), list(sys.path))
        return [random, flags, streams, torch.get_num_threads(), np.geterr()]

    before = state()
    made = artifact(replace(resolve("attentive:make"), preprocess={"height": 160, "width": 160}), store, images=photos)
    assert state() == before
    assert passed(made)
    kept = sys.modules.pop("attentive").KEPT[0]
    attention = [part.fused_attn for part in kept.modules() if hasattr(part, "fused_attn")]
    assert attention
    assert attention == [fused > 0] * len(attention)
    assert "ScaledDotProductAttention" not in {n.op_type for n in onnx.load(made.onnx).graph.node}


def test_a_local_checkpoint_takes_the_place_of_the_hubs(store: Store, photos: Path, tmp_path: Path) -> None:
    module = eager(resolve("test_resnet.r160_in1k@random"), store).module
    with torch.no_grad():
        next(module.parameters()).mul_(2)
    torch.save(module.state_dict(), tmp_path / "mine.pth")
    backbone = resolve("test_resnet.r160_in1k", weights=tmp_path / "mine.pth")
    made = artifact(backbone, store, images=photos)
    assert not made.untrained
    torch.testing.assert_close(next(eager_of(made, store).parameters()), next(module.parameters()))
    torch.save(torch.nn.Linear(3, 3).state_dict(), tmp_path / "other.pth")
    with pytest.raises(UserError, match="does not fit"):
        artifact(resolve("test_resnet.r160_in1k", weights=tmp_path / "other.pth"), store, images=photos)


def test_a_hub_out_of_reach_gets_a_sentence(store: Store, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(Unavailable, match="could not be downloaded from the model hub") as error:
        artifact(resolve("resnet18"), store, images=photos)
    assert "--weights" in error.value.remedy
    assert "@random" in error.value.remedy


@pytest.mark.parametrize("side", [224, 240, 260, 150])
def test_same_padding_is_right_at_every_size(side: int, store: Store, photos: Path) -> None:
    """TensorFlow's SAME padding depends on the input's size: at 240 a wrong folding once cost a tenth of the cosine."""
    size = {"height": side, "width": side}
    backbone = replace(resolve("tf_efficientnet_lite0.in1k@random"), preprocess=size)
    assert passed(artifact(backbone, store, images=photos))


@pytest.mark.parametrize("size", ["96x96", "160x128"])
def test_same_padding_is_frozen_for_each_size_that_is_asked_for(size: str, shared_store: Store, photos: Path) -> None:
    own = replace(resolve("test_efficientnet.r160_in1k@random"), size=size)
    assert isinstance(own.source, TimmModel)
    made = artifact(
        replace(own, source=replace(own.source, arguments={"pad_type": "same"})), shared_store, images=photos
    )
    assert passed(made)
    assert f"{made.preprocess.height}x{made.preprocess.width}" == size
    padded = [n for n in onnx.load(made.onnx).graph.node if n.op_type == "Conv" and n.attribute]
    pads = [list(a.ints) for n in padded for a in n.attribute if a.name == "pads" and len(set(a.ints)) > 1]
    assert pads or any(n.op_type == "Pad" for n in onnx.load(made.onnx).graph.node), "an even input is padded unequally"


@pytest.mark.parametrize("name", ["test_efficientnet.r160_in1k@random", "test_vit.r160_in1k@random"])
def test_a_cut_file_holds_what_it_needs_and_is_the_eager_cut_network(
    name: str, shared_store: Store, photos: Path
) -> None:
    made = [artifact(replace(resolve(name), depth=d), shared_store, images=photos) for d in (1, 3, 0)]
    assert all(map(passed, made))
    for cost in ("parameters", "gmacs", "onnx_bytes"):
        values = [getattr(one, cost) for one in made]
        assert values == sorted(set(values)), cost
    for one in made:
        held = sum(numpy_helper.to_array(t).size for t in onnx.load(one.onnx).graph.initializer)
        assert held == pytest.approx(one.parameters, rel=0.2), "folded batch norm, and no layer that is not run"
        x, found = run(one, 3)
        module = eager_of(one, shared_store)
        np.testing.assert_allclose(found, module(torch.from_numpy(x)).numpy(), rtol=1e-3, atol=1e-4)
    assert len({one.outputs[0].shape for one in made}) == (3 if "efficientnet" in name else 1)


def test_maps_before_the_cut_can_still_be_had(shared_store: Store, photos: Path) -> None:
    backbone = replace(resolve(SMALL[2]), depth=3)
    made = artifact(backbone, shared_store, images=photos, taps=["scales"])
    assert {o.name: o.shape for o in made.outputs} == {"features": (32,), "map_s8": (32, 20, 20)}
    assert passed(made)
    with pytest.raises(UserError, match="no tap 'map_s16'"):
        artifact(backbone, shared_store, images=photos, taps=["map_s16"])


@pytest.mark.parametrize(
    "change", [{"size": "96x96"}, {"size": "96x128"}, {"depth": 1}, {"depth": 2}, {"resize": "squash"}]
)
def test_every_field_of_a_variant_moves_the_key(change: dict[str, Any], store: Store, photos: Path) -> None:
    plain = resolve(SMALL[0])
    others: list[dict[str, Any]] = [{}, {"size": "96x96", "depth": 1}, *({"depth": d} for d in (3, 4))]
    keys = {artifact_key(replace(plain, **other), store, images=photos) for other in others}
    assert len(keys | {artifact_key(replace(plain, **change), store, images=photos)}) == len(others) + 1


def test_a_slimming_that_changes_the_result_is_not_used(
    store: Store, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import onnxslim

    def wrong(model: onnx.ModelProto) -> onnx.ModelProto:
        for tensor in model.graph.initializer:
            if len(tensor.dims) == 4:
                tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * 1.1, tensor.name))
        return model

    said: list[str] = []
    monkeypatch.setattr(onnxslim, "slim", wrong)
    assert passed(make(SMALL[1], Store(store.root, said.append), photos))
    assert any("simplification changed the result" in line for line in said)

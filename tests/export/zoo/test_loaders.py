"""Real checkpoints: out of published packages, and out of a model hub's cache on disk."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from export.convert.photographs import PACKAGE
from export.errors import UserError
from export.lower.precision import artifact
from export.packages import Package, fetch, member
from export.reference import decode, normalize, resize_and_crop
from export.store import Store, sha256_file
from export.zoo.backbones import listing, resolve
from export.zoo.loaders import eager

PACKAGED = [row.name for row in listing() if row.package]


@pytest.fixture(scope="module")
def real_store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("real"), lambda line: None)


def top1(name: str, store: Store) -> float:
    """With its own head, on twenty ImageNet photographs whose file names tell the class."""
    backbone = replace(resolve(name), output="logits")
    loaded = eager(backbone, store)
    with zipfile.ZipFile(fetch(PACKAGE, store)) as bundle:
        names = sorted(n for n in bundle.namelist() if n.startswith("foolbox/data/imagenet_"))
        pixels = np.stack([resize_and_crop(decode(bundle.read(n)), loaded.preprocess) for n in names])
    labels = [int(Path(n).stem.split("_")[2]) + backbone.classes - 1000 for n in names]
    with torch.inference_mode():
        found = loaded.module(torch.from_numpy(normalize(pixels, loaded.preprocess))).argmax(1).tolist()
    return float(np.mean([a == b for a, b in zip(found, labels, strict=True)]))


@pytest.mark.network
@pytest.mark.parametrize("name", ["efficientnet_lite0", "mobilenetv1"])
def test_packaged_classifiers_know_imagenet(name: str, real_store: Store) -> None:
    assert top1(name, real_store) >= 0.75


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.parametrize("name", PACKAGED)
def test_every_packaged_backbone_passes_parity(name: str, real_store: Store) -> None:
    made = artifact(resolve(name), real_store)
    assert made.parity["passed"]
    assert not made.untrained
    assert made.source["sha256"]


@pytest.mark.network
def test_a_package_that_is_not_the_pinned_one_is_refused(real_store: Store) -> None:
    changed = replace(PACKAGE, sha256="0" * 64)
    with pytest.raises(UserError, match="not the file that was pinned"):
        fetch(changed, real_store)
    with pytest.raises(UserError, match="holds no"):
        member(PACKAGE, "foolbox/no-such-file", "0" * 64, real_store)


@pytest.mark.network
def test_a_package_that_does_not_exist_gets_a_sentence(real_store: Store) -> None:
    with pytest.raises(UserError, match="could not be downloaded"):
        fetch(Package("backbones-deployed-no-such-package", "0.0.1", "0" * 64, "none"), real_store)


def test_hub_weights_are_taken_from_the_hubs_cache(
    store: Store, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real loading code, offline, on a cache of the hub's own layout."""
    import huggingface_hub.constants

    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "models--timm--test_resnet.r160_in1k"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "pinned").write_text(commit)
    snapshot = repository / "snapshots" / commit
    snapshot.mkdir(parents=True)
    module = eager(resolve("test_resnet.r160_in1k@random"), store).module
    state = {k: v.clone() for k, v in module.state_dict().items()}
    state |= {"fc.weight": torch.zeros(1000, 256), "fc.bias": torch.zeros(1000)}
    save_file(state, snapshot / "model.safetensors")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)

    backbone = replace(resolve("test_resnet.r160_in1k"), revision="pinned")
    made = artifact(backbone, store, images=photos)
    assert not made.untrained
    assert made.source["commit"] == commit
    assert made.source["sha256"] == sha256_file(snapshot / "model.safetensors")
    loaded = eager(backbone, store).module
    for name, tensor in loaded.state_dict().items():
        torch.testing.assert_close(tensor, state[name])

"""Real checkpoints: out of published packages, and out of a model hub's cache on disk."""

from __future__ import annotations

import logging
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from export.convert.photographs import PACKAGE
from export.errors import UserError
from export.lower.precision import artifact
from export.packages import Package, fetch, member
from export.picture import decode
from export.reference import normalize, resize_and_crop
from export.store import Store, sha256_file
from export.torchvision_ops import import_timm
from export.zoo.backbones import Backbone, listing, resolve
from export.zoo.inputs import spec_of
from export.zoo.loaders import eager
from export.zoo.readers import ByName
from export.zoo.sources import Checkpoint, Hub, LocalFile, ModuleFunction, PackageFile, TimmModel, file_of
from export.zoo.weights import SEED

PACKAGED = [row.name for row in listing() if isinstance(file_of(row.source), PackageFile)]


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
    classes = backbone.source.classes if isinstance(backbone.source, TimmModel) else 1000
    labels = [int(Path(n).stem.split("_")[2]) + classes - 1000 for n in names]
    with torch.inference_mode():
        found = loaded.module(torch.from_numpy(normalize(pixels, loaded.preprocess))).argmax(1).tolist()
    return float(np.mean([a == b for a, b in zip(found, labels, strict=True)]))


@pytest.mark.network
@pytest.mark.parametrize(
    ("name", "least"), [("efficientnet_lite0", 0.75), ("mobilenetv1", 0.75), ("squeezenet1_1", 0.6)]
)
def test_packaged_classifiers_know_imagenet(name: str, least: float, real_store: Store) -> None:
    assert top1(name, real_store) >= least


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.parametrize("name", PACKAGED)
def test_every_packaged_backbone_passes_parity(name: str, real_store: Store) -> None:
    made = artifact(resolve(name), real_store)
    assert made.parity is not None
    assert made.parity.passed
    assert not made.untrained
    assert made.source["sha256"]


@pytest.mark.network
def test_a_package_that_is_not_the_pinned_one_is_refused(real_store: Store) -> None:
    changed = replace(PACKAGE, sha256="0" * 64)
    with pytest.raises(UserError, match="does not match its pinned hash"):
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
    from huggingface_hub.utils import logging as hub_logging

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

    verbosity = hub_logging.get_verbosity()
    monkeypatch.setattr(hub_logging._get_library_root_logger(), "level", logging.INFO)
    backbone = replace(resolve("test_resnet.r160_in1k"), source=TimmModel("test_resnet.r160_in1k", Hub("pinned")))
    made = artifact(backbone, store, images=photos)
    assert hub_logging.get_verbosity() == logging.INFO != verbosity
    assert not made.untrained
    assert made.source["commit"] == commit
    assert made.source["sha256"] == sha256_file(snapshot / "model.safetensors")
    loaded = eager(backbone, store).module
    for name, tensor in loaded.state_dict().items():
        torch.testing.assert_close(tensor, state[name])


def random_state(seed: int) -> torch.Tensor:
    """Put the global state somewhere, and tell where."""
    torch.manual_seed(seed)
    return torch.get_rng_state()


def mine(folder: Path) -> Path:
    """A local checkpoint of a small network of timm's."""
    module = eager(resolve("test_resnet.r160_in1k@random"), Store(folder / "made", lambda line: None)).module
    with torch.no_grad():
        for tensor in module.parameters():
            tensor.mul_(1.5)
    save_file(module.state_dict(), folder / "mine.safetensors")
    return folder / "mine.safetensors"


@pytest.mark.parametrize("kind", ["random", "checkpoint", "by name", "module"])
def test_weights_do_not_depend_on_the_random_state_and_leave_it_alone(kind: str, store: Store, tmp_path: Path) -> None:
    file = LocalFile(mine(tmp_path))
    backbone = {
        "random": resolve("test_resnet.r160_in1k@random"),
        "checkpoint": resolve("test_resnet.r160_in1k", weights=file.path),
        "by name": Backbone("x", TimmModel("test_resnet.r160_in1k", Checkpoint(file, ByName()), classes=0)),
        "module": Backbone("x", ModuleFunction("torch.nn:Linear", arguments={"in_features": 4, "out_features": 3})),
    }[kind]
    states = []
    for seed in (1, 2):
        before = random_state(seed)
        states.append(eager(backbone, store).module.state_dict())
        assert torch.equal(torch.get_rng_state(), before)
    for name, tensor in states[0].items():
        assert torch.equal(tensor, states[1][name])


def test_random_weights_are_those_of_the_seed(store: Store) -> None:
    torch.manual_seed(SEED)
    wanted = import_timm().create_model("test_resnet", num_classes=0).state_dict()
    found = eager(resolve("test_resnet.r160_in1k@random"), store).module.state_dict()
    assert all(torch.equal(tensor, wanted[name]) for name, tensor in found.items())


@pytest.mark.parametrize("output", ["features", "logits"])
def test_a_modules_classifier_is_taken_off_unless_it_is_asked_for(
    output: Literal["features", "logits"], store: Store
) -> None:
    backbone = Backbone("x", ModuleFunction("export.zoo.squeezenet:squeezenet1_1"), output=output)
    with torch.inference_mode():
        assert eager(backbone, store).module(torch.rand(1, 3, 64, 64)).shape == (
            1,
            512 if output == "features" else 1000,
        )


def test_logits_of_a_module_without_a_classifier_get_a_sentence(store: Store) -> None:
    source = ModuleFunction("torch.nn:Linear", arguments={"in_features": 4, "out_features": 3})
    with pytest.raises(UserError, match="cannot be found"):
        eager(Backbone("x", source, output="logits"), store)


@pytest.mark.parametrize("fails", [False, True])
def test_a_module_in_the_working_folder_is_found_and_the_path_is_given_back(
    fails: bool, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What its function imports when it is called lies in the working folder too."""
    (tmp_path / "part_of_mine.py").write_text("import torch\nclass Net(torch.nn.Identity): pass\n")
    (tmp_path / "mine_here.py").write_text(
        "def make(fails):\n    from part_of_mine import Net\n    if fails: raise ZeroDivisionError\n    return Net()\n"
    )
    monkeypatch.chdir(tmp_path)
    before = list(sys.path)
    assert str(tmp_path) not in before
    backbone = Backbone("mine", ModuleFunction("mine_here:make", arguments={"fails": fails}))
    try:
        if fails:
            with pytest.raises(ZeroDivisionError):
                eager(backbone, store)
        else:
            assert type(eager(backbone, store).module).__module__ == "part_of_mine"
    finally:
        for name in ("mine_here", "part_of_mine"):
            sys.modules.pop(name, None)
    assert sys.path == before


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"mean": [123.7, 116.3, 103.5], "std": [58.4, 57.1, 57.4]}, r"from 0 to 1\.(.|\n)*Try: value_range: 255"),
        ({"value_range": 255}, r"from 0 to 255\.(.|\n)*Try: value_range: 1"),
        ({"mean": [-0.5, 0.5, 0.5]}, "does not fit pixels"),
        ({"height": 640_000}, "too large"),
    ],
)
def test_a_slip_in_the_preprocessing_is_refused(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        spec_of({"height": 64, "width": 64, **fields})


def test_means_in_the_units_of_the_range_are_taken() -> None:
    for fields in ({"value_range": 255, "mean": [0, 0, 0]}, {"value_range": 255, "mean": [104, 117, 123]}, {}):
        assert spec_of({"height": 64, "width": 64, **fields}).height == 64

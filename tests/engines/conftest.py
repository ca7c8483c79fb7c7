"""One real artifact for all engines: a small network, exported once, lying in a store with the plans built from it."""

from __future__ import annotations

import ctypes
import importlib.metadata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engines import library
from engines.base import EngineSpec, Pixels, Plan, Profile
from engines.catalog import engine
from engines.cuda import libcuda
from export.artifact import ONNX, Artifact
from export.errors import Unavailable
from export.spec import PreprocessSpec
from export.store import Store
from export.zoo.backbones import Backbone
from export.zoo.sources import ModuleFunction

SIDE = 32


@pytest.fixture(scope="session")
def room(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The store that the artifact lies in."""
    return Store(tmp_path_factory.mktemp("engines"))


@pytest.fixture(scope="session")
def artifact(room: Store) -> Artifact:
    def build(folder: Path) -> dict[str, Any]:
        from nets import WIDTH, export, tiny

        export(tiny(), SIDE, folder / ONNX)
        return {
            "backbone": "tiny",
            "precision": "fp32",
            "preprocess": PreprocessSpec(SIDE, SIDE, "bilinear", 1.0).as_json(),
            "input": "pixel_values",
            "outputs": [{"name": "features", "shape": [WIDTH], "dtype": "float32"}],
            "untrained": True,
            "parameters": 0,
            "gmacs": None,
            "source": {"request": Backbone("tiny", ModuleFunction("nets:tiny")).as_json()},
            "parity": None,
        }

    return Artifact.of(room.obtain("onnx", "0" * 32, build))


@pytest.fixture(scope="session")
def pixels() -> Pixels:
    """Four images of smooth random colours."""
    from PIL import Image

    small = np.random.default_rng(0).integers(0, 256, (4, 5, 5, 3), dtype=np.uint8)
    return np.stack([np.asarray(Image.fromarray(s).resize((SIDE, SIDE))) for s in small])


@pytest.fixture(scope="session")
def planned(room: Store, artifact: Artifact) -> Any:
    """``planned("ort", streams=2)``: a plan for batches of 1 and 4, built once an engine; or a skip."""

    def plan(text: str, streams: int = 1) -> Plan:
        asked = EngineSpec.parse(text, threads=2)
        spec = EngineSpec(asked.name, asked.provider, asked.threads, streams)
        try:
            return engine(spec).plan(artifact, Profile((1, 4)), room)
        except Unavailable as error:
            pytest.skip(str(error))

    return plan


@pytest.fixture
def only_installed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """``only_installed("onnxruntime")``: of all distributions, these are here, each in version 1.0."""

    def only(*names: str) -> None:
        def version(name: str) -> str:
            if name not in names:
                raise importlib.metadata.PackageNotFoundError(name)
            return "1.0"

        monkeypatch.setattr(library, "version", version)

    return only


@pytest.fixture
def fake_libcuda(built_libcuda: Path) -> Iterator[ctypes.CDLL]:
    """That library, with its functions declared as the real one's are; a test must leave nothing in it."""
    found = libcuda.typed(ctypes.CDLL(str(built_libcuda)))
    found.fake_reset(ctypes.c_size_t(1 << 27))
    yield found
    assert found.fake_depth() == 0
    assert found.fake_retained() == 0
    assert found.fake_live() == 0

"""A TensorRT session on the device that keeps the rules, and what to look at beside it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import fakes
import numpy as np
from fake_cuda import FakeDriver, FakeLibrary

from engines.base import EngineSpec, Pixels, Plan
from engines.trt.builder import PLAN
from engines.trt.flavour import Flavour
from engines.trt.session import TrtSession

SIDE = 32


def plan_in(folder: Path, batches: tuple[int, ...] = (1, 4), streams: int = 1, dynamic: bool = False) -> Plan:
    (folder / PLAN).write_bytes(b"a plan")
    spec = EngineSpec("trt", "gpu", streams=streams)
    fields = {"profiles": list(batches), "dynamic": dynamic, "targets": ["8.6"], "compatible": False}
    return replace(fakes.plan(batches, folder), path=folder, engine=spec, fields=fields)


class Stage:
    """A session on the fake device, and what to look at beside it."""

    def __init__(self, folder: Path, graphs: bool = True, streams: int = 1, seed: int = 0, **driver: Any) -> None:
        self.driver = FakeDriver(seed=seed, **driver)
        self.library = FakeLibrary(self.driver)
        self.plan = plan_in(folder, streams=streams)
        self.graphs = graphs

    def open(self) -> TrtSession:
        flavour = cast(Flavour, _Fixed(self.library))
        return TrtSession(self.plan, flavour, self.driver, self.graphs)


class _Fixed:
    title = "TensorRT"

    def __init__(self, library: FakeLibrary) -> None:
        self.library = library

    def load(self) -> FakeLibrary:
        return self.library


class FakeBuilding:
    """TensorRT's module as a build sees it, with the names that a release has and no more; ``built`` is what it did."""

    class ILogger:
        def __init__(self) -> None:
            pass

    class IProgressMonitor:
        def __init__(self) -> None:
            pass

    MemoryPoolType = SimpleNamespace(WORKSPACE="workspace")
    ProfilingVerbosity = SimpleNamespace(DETAILED="detailed")
    HardwareCompatibilityLevel = SimpleNamespace(AMPERE_PLUS="ampere+")

    def __init__(self, release: str) -> None:
        weak = release.startswith("10.")  # 11 has strong typing alone, and ignores the flag that asks for it
        self.__version__ = release
        flags = {"EXPLICIT_BATCH": 0, "STRONGLY_TYPED": 1} if weak else {"STRONGLY_TYPED": 1}
        self.NetworkDefinitionCreationFlag = SimpleNamespace(**flags)
        self.BuilderFlag = SimpleNamespace(**({"FP16": "fp16", "TF32": "tf32"} if weak else {"TF32": "tf32"}))
        self.built: dict[str, Any] = {"profiles": [], "cleared": [], "strong": not weak}

    def Builder(self, logger: Any) -> Any:
        built = self.built

        def network(flags: int) -> Any:
            built["strong"] |= bool(flags & 1 << int(self.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
            given = SimpleNamespace(name="pixels", shape=(-1, SIDE, SIDE, 3))
            return SimpleNamespace(num_inputs=1, get_input=lambda index: given)

        def config() -> Any:
            return SimpleNamespace(
                clear_flag=built["cleared"].append,
                set_memory_pool_limit=lambda pool, size: built.update({pool: size}),
                add_optimization_profile=built["profiles"].append,
            )

        def profile() -> Any:
            shapes: dict[str, Any] = {}
            return SimpleNamespace(shapes=shapes, set_shape=lambda name, *sizes: shapes.update({name: sizes}))

        def plan(network: Any, config: Any) -> bytes:
            built.update(vars(config))
            return b"a plan"

        return SimpleNamespace(
            create_network=network,
            create_builder_config=config,
            create_optimization_profile=profile,
            build_serialized_network=plan,
        )

    def OnnxParser(self, network: Any, logger: Any) -> Any:
        return SimpleNamespace(parse_from_file=lambda file: self.built.update(file=file) or True)


def wanted(pixels: Pixels) -> Any:
    return (pixels.mean(axis=(1, 2)) / 255).astype(np.float32)

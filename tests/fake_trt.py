"""A TensorRT session on the device that keeps the rules, and what to look at beside it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
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


def wanted(pixels: Pixels) -> Any:
    return (pixels.mean(axis=(1, 2)) / 255).astype(np.float32)

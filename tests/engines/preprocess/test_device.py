"""Preprocessing on a device, to every type: on the one that keeps the rules, and, where there is a GPU, on that."""

from __future__ import annotations

from ctypes import CDLL
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from fake_cuda import FakeDriver
from fakes import MeanColour, plan

from bench.figures.gpu_preprocess import must_move, torch_path
from engines.base import EngineSpec
from engines.catalog import engine
from engines.cuda.ctypes_driver import CtypesDriver
from engines.cuda.device import Device, device
from engines.cuda.driver import Driver, Kernels
from engines.cuda.libcuda import typed
from engines.cuda.nvrtc import CUBIN, Program, program_key
from engines.cuda.pycuda_driver import PycudaDriver
from engines.preprocess.catalog import identity, preprocess, refusal
from engines.preprocess.device import Feeder, program_here, run
from engines.preprocess.kernel import PIXELS, SOURCE, Target
from engines.preprocess.normalize import Normalizer
from export.errors import Unavailable, UserError
from export.picture import Image
from export.reference import resize_and_crop
from export.spec import PreprocessSpec
from export.store import Store

REAL = ("pycuda on a GPU", "libcuda on a GPU")


@dataclass
class Stage:
    driver: Driver
    kernels: Kernels

    def run(self, batches: list[list[Image]], spec: PreprocessSpec, target: Target, dtype: Any) -> list[Any]:
        """What the kernels make of each batch, by graphs that are captured when they must be."""
        driver = self.driver
        found = []
        with driver.active():
            stream = driver.stream()
            most = max(map(len, batches))
            shape = (
                (most, spec.height, spec.width, 3) if target.layout == "NHWC" else (most, 3, spec.height, spec.width)
            )
            host = driver.pinned(shape, np.dtype(dtype))
            buffer = driver.allocate(host.nbytes)
            feeder = Feeder(driver, stream, self.kernels, spec, buffer, most, target)
            graph, generation = None, 0
            for batch in batches:
                feeder.load(batch)
                if generation != feeder.generation:
                    if graph is not None:
                        graph.free()
                    feeder.run()
                    stream.synchronize()
                    graph, generation = stream.capture(feeder.run), feeder.generation
                assert graph is not None
                stream.launch(graph)
                stream.copy_out(host, buffer)
                stream.synchronize()
                found.append(host[: len(batch)].copy())
            if graph is not None:
                graph.free()
            feeder.free()
            buffer.free()
        return found


@pytest.fixture(params=["fake", "libcuda", *(pytest.param(n, marks=pytest.mark.gpu) for n in REAL)], scope="module")
def stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    if request.param not in REAL:
        driver: Driver = FakeDriver(size=1 << 27)
        if request.param == "libcuda":
            driver = CtypesDriver(typed(CDLL(str(request.getfixturevalue("built_libcuda")))))
        code = request.getfixturevalue("host_code").cubin
    else:
        if request.param == "pycuda on a GPU":
            pytest.importorskip("pycuda.driver", reason="pycuda is not installed")
            driver = PycudaDriver()
        else:
            driver = CtypesDriver()
        code = program_here(Store(tmp_path_factory.mktemp("kernel"))).cubin
    with driver.active():
        kernels = driver.kernels(code)
    yield Stage(driver, kernels)
    driver.close()


def taken(count: int, seed: int, largest: int) -> list[Image]:
    draw = np.random.default_rng(seed)
    return [draw.integers(0, 256, (*draw.integers(1, largest, 2), 3), dtype=np.uint8) for _ in range(count)]


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("mode", ["center", "squash", "border"])
def test_the_devices_pixels_are_pillows(stage: Stage, interpolation: Any, mode: Any) -> None:
    spec = PreprocessSpec(50, 37, interpolation, 0.9, mode, fill=(7, 8, 9))
    batches = [taken(4, seed, largest) for seed, largest in enumerate((60, 500, 40, 900))]
    for batch, found in zip(batches, stage.run(batches, spec, PIXELS, np.uint8), strict=True):
        for image, ours in zip(batch, found, strict=True):
            # a device's sine may differ in its last bit, and then a weight of Lanczos in its last of 22
            off = np.abs(ours.astype(int) - resize_and_crop(image, spec))
            assert off.max() <= (1 if interpolation == "lanczos" else 0)
            assert off.mean() < 0.1


@pytest.mark.parametrize(("kind", "dtype"), [("float32", "f4"), ("float16", "f2"), ("bfloat16", "u2"), ("int8", "i1")])
def test_values_of_every_type(stage: Stage, kind: Any, dtype: str) -> None:
    spec = PreprocessSpec(48, 48, "bicubic")
    batch = taken(3, 1, 300)
    [found] = stage.run([batch], spec, Target(kind, "NCHW", step=0.02), dtype)
    exact = Normalizer(spec)(np.stack([resize_and_crop(image, spec) for image in batch]))
    if kind == "int8":
        assert np.abs(found - np.clip(np.rint(exact / 0.02), -128, 127)).max() <= 1
    elif kind == "bfloat16":
        np.testing.assert_array_equal(found.view(ml_dtypes.bfloat16), exact.astype(ml_dtypes.bfloat16))
    else:
        np.testing.assert_array_equal(found, exact.astype(dtype))


def test_the_path_says_what_it_lacks(store: Store) -> None:
    why, remedy = refusal("cuda", engine(EngineSpec("ort")), store)
    assert "ort:cpu takes its pixels from the processor" in why
    assert remedy == "--preprocess cpu"
    assert (
        refusal("cpu", engine(EngineSpec("ort")), store)
        == refusal("pillow", engine(EngineSpec("ort")), store)
        == ("", "")
    )
    if device() is None:
        assert "NVIDIA driver" in refusal("cuda", engine(EngineSpec("trt-rtx")), store)[0]
        with pytest.raises(Unavailable, match="needs a GPU"):
            _ = preprocess("cuda", PreprocessSpec(8, 8), store).program  # type: ignore[attr-defined]
    with pytest.raises(UserError, match="preprocessing path"):
        refusal("gpu", engine(EngineSpec("ort")), store)
    assert identity("cuda")["kernel"] != identity("cpu")


ORIN = Device("Orin", "8.7", "540.4.0", 64 << 30, cuda="12.6")


def packed(store: Store, capability: str, cuda: int) -> None:
    """The entry, as the workstation makes it; what it holds is not looked at here."""

    def build(folder: Path) -> dict[str, Any]:
        (folder / CUBIN).write_bytes(f"code of CUDA {cuda}".encode())
        return {"capability": capability, "nvrtc": f"{cuda}.0", "resources": {}}

    store.obtain("cubin", program_key(SOURCE.read_text("utf-8"), capability, cuda), build)


def test_a_board_finds_kernels_that_were_packed_and_needs_no_compiler(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(cuda: int) -> Any:
        raise Unavailable(f"NVRTC of CUDA {cuda} is not installed.")

    monkeypatch.setattr("engines.preprocess.device.device", lambda: ORIN)
    monkeypatch.setattr("engines.preprocess.device.library", missing)
    monkeypatch.setattr("engines.cuda.nvrtc.library", missing)
    trt = engine(EngineSpec("trt"))
    why = "has no kernels for 8.7 in the store, and NVRTC of CUDA 12 is not installed."
    assert refusal("cuda", trt, store)[0].endswith(why)
    packed(store, "8.7", 13)  # its driver is of CUDA 12
    packed(store, "8.6", 12)
    with pytest.raises(Unavailable, match="NVRTC of CUDA 12"):
        program_here(store)
    packed(store, "8.7", 12)
    assert refusal("cuda", trt, store) == ("", "")
    assert program_here(store).cubin == b"code of CUDA 12"


def test_a_newer_driver_loads_older_code_where_there_is_none_of_its_own(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engines.preprocess.device.device", lambda: replace(ORIN, cuda="13.0"))
    packed(store, "8.7", 12)
    assert program_here(store).cubin == b"code of CUDA 12"
    packed(store, "8.7", 13)
    assert program_here(store).cubin == b"code of CUDA 13"


def test_a_session_that_does_not_preprocess_says_so() -> None:
    with pytest.raises(UserError, match=r"fake:cpu cannot preprocess on the GPU\.\nTry: --preprocess cpu"):
        run(MeanColour(plan()), taken(1, 0, 9), Program("", "8.6", b"", {}))


def test_bytes_that_must_move() -> None:
    whole = PreprocessSpec(100, 200, "bicubic", 1.0, "squash")
    photograph = np.zeros((400, 300, 3), np.uint8)
    assert must_move([photograph] * 2, whole, 2) == 2 * 3 * (400 * 300 + 2 * 100 * 200)
    centre = PreprocessSpec(100, 100, "bicubic", 0.5)  # a quarter of a square: half of each side
    assert must_move([np.zeros((400, 400, 3), np.uint8)], centre, 4) == 3 * (200 * 200 + 4 * 100 * 100)


def test_torchs_path_computes_the_same(tmp_path: Path) -> None:
    """So that the comparison is of equals: on the processor here, within what one rounding less makes."""
    import torch

    spec = PreprocessSpec(32, 32, "bicubic")
    batch = taken(3, 2, 200)
    found = torch_path([torch.from_numpy(image.transpose(2, 0, 1).copy()) for image in batch], spec)
    exact = Normalizer(spec)(np.stack([resize_and_crop(image, spec) for image in batch]))
    assert found.dtype == torch.float16
    assert np.abs(found.float().numpy() - exact).mean() < 0.02

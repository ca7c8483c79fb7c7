"""The CUDA kernel's own source, compiled for this processor, against Pillow: bit for bit."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from itertools import islice
from pathlib import Path
from typing import Any, get_args

import ml_dtypes
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from specs import SPECS

from engines.preprocess import kernel
from engines.preprocess.host import FLAGS, HostKernel, library
from engines.preprocess.kernel import PIXELS, Frame, Standard, Target, Type, batch
from engines.preprocess.normalize import Normalizer
from export.errors import CellError, Unavailable, UserError
from export.picture import decode
from export.reference import resize_and_crop
from export.spec import CropMode, Interpolation, PreprocessSpec
from export.store import Store

RgbImage = npt.NDArray[np.uint8]
HERE = Path(__file__).parent
SIDES = st.lists(st.tuples(st.integers(1, 200), st.integers(1, 200)), min_size=1, max_size=5)


@pytest.fixture(scope="session")
def host(kernels: Store) -> HostKernel:
    return HostKernel(library(kernels))


def drawn(height: int, width: int, seed: int = 0) -> RgbImage:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def must_be_pillows(host: HostKernel, images: list[RgbImage], spec: PreprocessSpec) -> None:
    found = host(images, spec)
    for image, ours in zip(images, found, strict=True):
        np.testing.assert_array_equal(ours, resize_and_crop(image, spec), err_msg=f"{image.shape} {spec}")


@settings(max_examples=500)
@given(SPECS, SIDES, st.integers(0, 3))
def test_any_batch_is_pillows(host: HostKernel, spec: PreprocessSpec, sides: list[tuple[int, int]], seed: int) -> None:
    must_be_pillows(host, [drawn(*side, seed + i) for i, side in enumerate(sides)], spec)


@pytest.mark.parametrize("interpolation", get_args(Interpolation))
@pytest.mark.parametrize("mode", get_args(CropMode))
def test_sides_of_ten_thousand_pixels_and_of_one(
    host: HostKernel, interpolation: Interpolation, mode: CropMode
) -> None:
    spec = PreprocessSpec(32, 32, interpolation, 0.875, mode)
    must_be_pillows(host, [drawn(10_000, 40), drawn(40, 10_000), drawn(1, 1), drawn(1, 10_000), drawn(7, 1)], spec)


def test_enlarging_to_more_than_a_tile_is_wide(host: HostKernel) -> None:
    must_be_pillows(host, [drawn(5, 9), drawn(224, 224), drawn(97, 301)], PreprocessSpec(331, 299, "bicubic", 0.9))


@pytest.mark.data
@pytest.mark.parametrize("interpolation", get_args(Interpolation))
def test_real_photographs(host: HostKernel, shared_data: Path, interpolation: Interpolation) -> None:
    with tarfile.open(shared_data / "imagenet1k.tar") as tar:
        files = [tar.extractfile(member) for member in islice((m for m in tar if m.isfile()), 0, 640, 10)]
        images = [decode(file.read()) for file in files if file]
    assert len(images) == 64
    must_be_pillows(host, images, PreprocessSpec(224, 224, interpolation, 0.875))


# -- values ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["RGB", "BGR"])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("kind", ["float32", "float16", "bfloat16", "int8"])
def test_values_in_every_type_and_layout(host: HostKernel, kind: Type, layout: Any, order: Any) -> None:
    spec = PreprocessSpec(40, 33, "bicubic", 0.9, channel_order=order, layout=layout)
    images = [drawn(90, 70, 1), drawn(50, 160, 2)]
    exact = Normalizer(spec)(np.stack([resize_and_crop(image, spec) for image in images]))
    found = host(images, spec, Target(kind, layout, step=0.02))
    if kind == "int8":
        # the kernel folds the step into its constants, so a value at the middle of two steps may fall to either
        wanted = np.clip(np.rint(exact / np.float32(0.02)), -128, 127)
        assert np.abs(found - wanted).max() <= 1
        assert (found != wanted).mean() < 1e-3
        assert len(np.unique(found)) > 100
    elif kind == "bfloat16":
        np.testing.assert_array_equal(found.view(ml_dtypes.bfloat16), exact.astype(ml_dtypes.bfloat16))
    else:
        np.testing.assert_array_equal(found, exact.astype(kind))


def test_int8_saturates(host: HostKernel) -> None:
    spec = PreprocessSpec(8, 8, "nearest", 1.0, "squash", mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    image = np.zeros((8, 8, 3), np.uint8)
    image[4:] = 255
    found = host([image], spec, Target("int8", "NHWC", step=0.001))
    assert (found[0, :4] == -128).all()
    assert (found[0, 4:] == 127).all()


# -- NV12 ------------------------------------------------------------------------------------------------------------


def nv12(luma: RgbImage, chroma: RgbImage, pitch: int) -> tuple[npt.NDArray[np.uint8], Frame]:
    """Both planes in one buffer, their lines ``pitch`` bytes apart, as a decoder lays them out."""
    height, width = luma.shape
    buffer = np.full((height * 3 // 2, pitch), 99, np.uint8)
    buffer[:height, :width], buffer[height:, :width] = luma, chroma.reshape(height // 2, width)
    address = buffer.ctypes.data
    return buffer, Frame(address, height, width, pitch, address + height * pitch, pitch)


def rgb_of(luma: RgbImage, chroma: RgbImage, standard: Standard) -> npt.NDArray[np.float64]:
    """ITU-R BT.601-7 and BT.709-6, in floating point; chroma as it is for two by two pixels."""
    red, blue = {"BT.709": (0.2126, 0.0722)}.get(standard, (0.299, 0.114))
    green = 1 - red - blue
    full = standard == "JPEG"
    y = luma / 255 if full else np.maximum(luma.astype(float) - 16, 0) / 219
    cb, cr = (
        np.repeat(np.repeat(chroma[..., c].astype(float) - 128, 2, 0), 2, 1) / (255 if full else 224) for c in (0, 1)
    )
    r, b = y + 2 * (1 - red) * cr, y + 2 * (1 - blue) * cb
    g = (y - red * r - blue * b) / green
    return np.stack([r, g, b], -1).clip(0, 1) * 255


@pytest.mark.parametrize("standard", get_args(Standard))
def test_nv12_is_the_standards_rgb(host: HostKernel, standard: Standard) -> None:
    draw = np.random.default_rng(0)
    luma = draw.integers(0, 256, (40, 36), dtype=np.uint8)
    chroma = draw.integers(0, 256, (20, 18, 2), dtype=np.uint8)
    _buffer, frame = nv12(luma, chroma, pitch=64)
    as_it_is = PreprocessSpec(40, 36, "bilinear", 1.0, "squash")
    rgb = host.frames([frame], as_it_is, Target("uint8", "NHWC", standard=standard))[0]
    assert np.abs(rgb - rgb_of(luma, chroma, standard)).max() < 0.51

    smaller = PreprocessSpec(17, 16, "lanczos", 0.9)
    found = host.frames([frame], smaller, Target("uint8", "NHWC", standard=standard))[0]
    np.testing.assert_array_equal(found, resize_and_crop(rgb, smaller))


# -- what cannot be --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ([], "needs at least one photograph"),
        ([Frame(1, 0, 5)], "0x5 is not a valid size"),
        ([Frame(1, 4, 5, chroma=1)], "4x5 is not a valid size for NV12"),
        ([Frame(1, 4, 4), Frame(1, 4, 4, chroma=1)], "cannot mix"),
        ([Frame(1, 70_000, 30_000)], "too large"),
    ],
)
def test_what_cannot_be_gets_a_sentence(frames: list[Frame], message: str) -> None:
    with pytest.raises(UserError, match=message):
        batch(frames, PreprocessSpec(8, 8), PIXELS)


def test_equal_sizes_share_a_table() -> None:
    same = [Frame(1, 375, 500)] * 5 + [Frame(1, 500, 375)] * 3
    assert len(batch(same, PreprocessSpec(224, 224), PIXELS).axes) == 2


# -- sanitizers ------------------------------------------------------------------------------------------------------


ADDRESSES = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-g"]
THREADS = ["-fsanitize=thread", "-DLANES=2", "-DWARPS=2", "-pthread", "-g"]


def sanitized(path: Path, flags: list[str]) -> subprocess.CompletedProcess[str]:
    """Run the library's kernel under the sanitizer that it was built with."""
    environment = os.environ | {"LD_PRELOAD": runtime(flags), "ASAN_OPTIONS": "detect_leaks=0"}
    environment["PYTHONPATH"] = str(HERE.parents[2])
    command = [sys.executable, str(HERE / "sanitized.py"), str(path)]
    if fixed := shutil.which("setarch"):  # the thread sanitizer knows no address space that is laid out at random
        command = [fixed, "-R", *command]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def runtime(flags: list[str]) -> str:
    """The sanitizer's own library; skips the test where g++ has none."""
    name = "libtsan.so" if flags is THREADS else "libasan.so"
    gcc = shutil.which("g++")
    if gcc is None:
        pytest.skip("no g++ here")
    found = subprocess.run([gcc, f"-print-file-name={name}"], capture_output=True, text=True).stdout.strip()
    if not Path(found).is_absolute():
        pytest.skip(f"g++ has no {name} here")
    return found


@pytest.mark.parametrize("flags", [ADDRESSES, THREADS], ids=["address and undefined behaviour", "threads"])
def test_sanitizers_find_nothing(kernels: Store, flags: list[str]) -> None:
    runtime(flags)
    done = sanitized(library(kernels, flags), flags)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize(
    ("flags", "right", "wrong", "finding"),
    [
        (ADDRESSES, "resized[k + l][slot] =", "resized[k + l + CHUNK][slot] =", "AddressSanitizer"),
        (THREADS, "__syncthreads();", "", "ThreadSanitizer: data race"),
    ],
    ids=["a line too far", "no barrier"],
)
def test_sanitizers_would_find_something(
    tmp_path: Path, flags: list[str], right: str, wrong: str, finding: str
) -> None:
    runtime(flags)
    for name in ("preprocess.cu", "host.cpp"):
        shutil.copy(kernel.SOURCE.with_name(name), tmp_path)
    source = tmp_path / "preprocess.cu"
    assert right in source.read_text()
    source.write_text(source.read_text().replace(right, wrong))
    path = tmp_path / "wrong.so"
    subprocess.run(["g++", *FLAGS, *flags, str(tmp_path / "host.cpp"), "-o", str(path)], check=True)
    done = sanitized(path, flags)
    assert done.returncode
    assert finding in done.stderr


def test_a_compiler_that_does_not_take_it_gets_a_sentence(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CellError, match="rejects the kernel"):
        library(store, ["-include", "nowhere.h"])
    monkeypatch.setenv("CXX", "")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(Unavailable, match="No C\\+\\+ compiler"):
        library(store)


def test_pixels_of_an_image_that_is_not_contiguous(host: HostKernel) -> None:
    image = drawn(60, 80)[:, ::-1]
    spec = PreprocessSpec(16, 16)
    np.testing.assert_array_equal(host([image], spec)[0], resize_and_crop(np.ascontiguousarray(image), spec))
    assert Image.fromarray(host([image], spec)[0]).size == (16, 16)

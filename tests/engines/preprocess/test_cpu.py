"""The fast path against ``export.reference``: random sizes, kernels and crops, and real photographs."""

from __future__ import annotations

import io
import math
import random
import tarfile
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import get_args

import numpy as np
import numpy.typing as npt
import pytest
from encoders import exif, pillow
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from specs import SPECS

from engines.preprocess import libtorch
from engines.preprocess.catalog import identity, preprocess
from engines.preprocess.cpu import CpuPreprocess
from engines.preprocess.resize import TIED, resize, ties
from export.errors import UserError
from export.picture import Undecodable, decode
from export.reference import resize_and_crop
from export.spec import CropMode, Interpolation, PreprocessSpec
from export.store import Store

RgbImage = npt.NDArray[np.uint8]


def drawn(height: int, width: int, seed: int = 0) -> RgbImage:
    """Smooth colours with noise on them: neither a constant nor static."""
    draw = np.random.default_rng(seed)
    small = Image.fromarray(draw.integers(0, 256, (4, 4, 3), dtype=np.uint8)).resize((width, height))
    return np.clip(np.asarray(small).astype(int) + draw.integers(-40, 40, (height, width, 3)), 0, 255).astype(np.uint8)


def path_of(spec: PreprocessSpec) -> CpuPreprocess:
    return CpuPreprocess(spec, Store(Path("nowhere")))


def difference(image: RgbImage, spec: PreprocessSpec) -> npt.NDArray[np.int64]:
    ours, wanted = resize(image, spec), resize_and_crop(image, spec)
    assert ours.dtype == np.uint8
    assert ours.shape == wanted.shape == (spec.height, spec.width, 3)
    off: npt.NDArray[np.int64] = np.abs(ours.astype(np.int64) - wanted)
    return off


@settings(max_examples=300)
@given(SPECS, st.integers(1, 150), st.integers(1, 150), st.integers(0, 3))
def test_within_two_of_the_reference(spec: PreprocessSpec, height: int, width: int, seed: int) -> None:
    image = drawn(height, width, seed)
    found = difference(image, spec)
    assert found.max() <= (2 if spec.interpolation in ("bilinear", "bicubic") else 0)


@pytest.mark.parametrize("kernel", ["bilinear", "bicubic"])
@pytest.mark.parametrize("mode", get_args(CropMode))
@pytest.mark.parametrize(
    ("height", "width"),
    [(300, 400), (400, 300), (1, 1), (3, 2), (20, 31), (32, 32), (37, 500), (500, 37)],
    ids=lambda side: str(side),
)
def test_shapes_of_photographs(kernel: Interpolation, mode: CropMode, height: int, width: int) -> None:
    """Down and up, both orientations, one pixel, the very size, and strips."""
    for crop in (0.875, 1.0):
        found = difference(drawn(height, width), PreprocessSpec(32, 48, kernel, crop, mode, fill=(1, 2, 3)))
        assert found.max() <= 2


def test_one_missing_row_is_padded() -> None:
    """Half of one is none: nothing is added above, and a row of fill below."""
    found = resize(drawn(20, 31), PreprocessSpec(32, 48, "bilinear", 1.0, "border", fill=(1, 2, 3)))
    assert found.shape == (32, 48, 3)
    np.testing.assert_array_equal(found[31], np.tile(np.array([1, 2, 3], np.uint8), (48, 1)))


@pytest.mark.data
@pytest.mark.parametrize("kernel", ["bilinear", "bicubic"])
@pytest.mark.parametrize("mode", get_args(CropMode))
def test_real_photographs(kernel: Interpolation, mode: CropMode, shared_data: Path) -> None:
    spec = PreprocessSpec(224, 224, kernel, 0.875, mode)
    path = path_of(spec)
    means = []
    with tarfile.open(shared_data / "imagenet1k.tar") as tar:
        for member in islice((m for m in tar if m.isfile()), 60):
            file = tar.extractfile(member)
            assert file is not None
            encoded = file.read()
            wanted = resize_and_crop(decode(encoded), spec)
            off = np.abs(path(encoded).astype(np.int64) - wanted)
            assert off.max() <= 2
            means.append(off.mean())
    assert len(means) == 60
    assert np.mean(means) <= 0.01


def test_rows_and_columns_are_taken_in_pillows_order() -> None:
    """Portrait photographs that are squashed: the other order is off by more than the fixed-point weights are."""
    spec = PreprocessSpec(224, 224, "bicubic", 1.0, "squash")
    assert difference(drawn(450, 300), spec).mean() <= 0.05
    assert difference(drawn(300, 450), spec).mean() <= 0.05


CAMERAS = [(640, 480), (1024, 768), (1280, 720), (1600, 1200), (1920, 1080), (2048, 1536), (1500, 1000), (512, 512)]


@pytest.mark.parametrize("size", CAMERAS, ids=str)
@pytest.mark.parametrize("crop", [0.875, 0.95, 1.0])
def test_the_sizes_of_cameras(size: tuple[int, int], crop: float) -> None:
    """Simple ratios, at which bilinear sums are often one half, landscape and portrait."""
    width, height = size
    spec = PreprocessSpec(224, 224, "bilinear", crop)
    for image in (drawn(height, width), drawn(width, height)):
        found = difference(image, spec)
        assert found.max() <= 2
        assert found.mean() <= 0.01


@settings(max_examples=100)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 60), st.integers(1, 60), st.integers(0, 3))
def test_simple_ratios(rows: int, to_rows: int, columns: int, to_columns: int, seed: int) -> None:
    """All of them: up and down, and another along each axis."""
    down, across = (max(1, 240 // max(pair)) for pair in ((rows, to_rows), (columns, to_columns)))
    spec = PreprocessSpec(to_rows * down, to_columns * across, "bilinear", 1.0, "squash")
    found = difference(drawn(rows * down, columns * across, seed), spec)
    assert found.max() <= 2
    assert found.size < 20_000 or found.mean() <= 0.01


@pytest.mark.parametrize(("size", "out"), [(480, 256), (300, 400), (7, 3), (20, 20), (8, 2), (90, 60)])
def test_the_share_of_ties(size: int, out: int) -> None:
    """Against sums over drawn values, in fractions."""
    draw = random.Random(0)
    scale = Fraction(size, out)
    reach = max(scale, Fraction(1))
    halves = total = 0
    for turn in range(4_000):
        centre = (turn % out + Fraction(1, 2)) * scale
        inside = range(math.floor(centre - reach), math.ceil(centre + reach))
        weights = [max(Fraction(0), 1 - abs(x + Fraction(1, 2) - centre) / reach) for x in inside]
        found = sum(w * draw.randrange(256) for w in weights) / sum(weights)
        exact = all((w / sum(weights)).denominator.bit_count() == 1 for w in weights)
        halves += not exact and found % 1 == Fraction(1, 2)
        total += 1
    assert ties(size, out) == pytest.approx(halves / total, abs=0.006)


def test_pillow_does_no_more_than_the_axis_with_ties(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow is five times slower."""
    asked: list[tuple[tuple[int, ...], tuple[int, int]]] = []
    by_torch = libtorch.resized

    def asking(image: RgbImage, height: int, width: int, interpolation: str) -> RgbImage:
        asked.append((image.shape[:2], (height, width)))
        return by_torch(image, height, width, interpolation)

    monkeypatch.setattr(libtorch, "resized", asking)
    spec = PreprocessSpec(224, 224, "bilinear", 0.875)
    for width, height in ((1920, 1080), (4000, 3000), (1500, 1000)):
        resize(np.zeros((height, width, 3), np.uint8), spec)
    assert asked == [((1080, 1920), (256, 455)), ((3000, 4000), (256, 341)), ((1000, 1500), (256, 384))]
    asked.clear()
    assert ties(480, 256) > TIED > ties(640, 341)
    resize(np.zeros((480, 640, 3), np.uint8), spec)
    resize(np.zeros((640, 480, 3), np.uint8), spec)
    assert asked == [((480, 640), (480, 341)), ((640, 256), (341, 256))]
    asked.clear()
    resize(np.zeros((480, 480, 3), np.uint8), spec)
    assert asked == []


def test_read_only_and_sliced_images_are_taken_as_they_are() -> None:
    path, image = path_of(PreprocessSpec(16, 16, "bilinear", 1.0)), drawn(40, 60)
    wanted = path.resize(image)
    frozen = image.copy()
    frozen.flags.writeable = False
    np.testing.assert_array_equal(path.resize(frozen), wanted)
    np.testing.assert_array_equal(path.resize(np.pad(image, ((0, 0), (0, 9), (0, 0)))[:, :60]), wanted)
    np.testing.assert_array_equal(frozen, image)


def test_several_threads_at_once() -> None:
    path = path_of(PreprocessSpec(32, 32, "bicubic"))
    images = [drawn(60, 80, seed) for seed in range(8)]
    alone = [path.resize(image) for image in images]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(path.resize, images * 4))
    for i, found in enumerate(together):
        np.testing.assert_array_equal(found, alone[i % 8])


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "CMYK", "1", "LA"])
def test_every_colour_mode_becomes_rgb(mode: str) -> None:
    out = io.BytesIO()
    Image.fromarray(drawn(30, 40)).convert("RGB" if mode == "LA" else mode).convert(mode).save(
        out, "TIFF" if mode == "CMYK" else "PNG"
    )
    spec = PreprocessSpec(16, 16, "bilinear", 1.0)
    found = path_of(spec)(out.getvalue())
    assert found.shape == (16, 16, 3)
    assert np.abs(found.astype(int) - resize_and_crop(decode(out.getvalue()), spec)).max() <= 2


@pytest.mark.parametrize("damaged", [b"", b"not an image", b"\xff\xd8\xff\xe0" + bytes(20)])
def test_what_is_no_image_is_a_sentence(damaged: bytes) -> None:
    with pytest.raises(Undecodable, match="cannot be decoded"):
        path_of(PreprocessSpec(16, 16))(damaged)


def test_truncated_image_is_a_sentence() -> None:
    out = io.BytesIO()
    Image.fromarray(drawn(100, 100)).save(out, "JPEG")
    with pytest.raises(Undecodable):
        path_of(PreprocessSpec(16, 16))(out.getvalue()[: len(out.getvalue()) // 2])


def test_identity_needs_no_spec_and_names_the_libraries() -> None:
    found = identity("cpu")
    assert found == CpuPreprocess.identity("stored")
    assert {"name", "version", "torch", "pillow"} <= found.keys()
    with pytest.raises(UserError, match="Unknown preprocessing path 'gpu'"):
        identity("gpu")


@pytest.mark.parametrize("name", ["cpu", "cuda"])
def test_a_path_turns_photographs_upright_where_it_is_asked_to(name: str, store: Store) -> None:
    image = drawn(30, 40)
    sideways = pillow(Image.fromarray(image).transpose(Image.Transpose.ROTATE_90), "PNG", exif=exif(6))
    spec = PreprocessSpec(16, 16, "bilinear", 1.0)
    np.testing.assert_array_equal(preprocess(f"{name}:exif", spec, store).decode(sideways), image)
    assert preprocess(name, spec, store).decode(sideways).shape == (40, 30, 3)
    assert identity(f"{name}:exif") != identity(name)


@pytest.mark.parametrize(
    ("name", "why"), [("nvimgcodec:exif", "does not apply"), ("cpu:up", "PATH:exif"), ("cpu:", "PATH:exif")]
)
def test_a_path_that_cannot_turn_them_says_so(name: str, why: str) -> None:
    with pytest.raises(UserError, match=why):
        identity(name)

"""The corruptions of ImageNet-C: seeded, ordered by severity, and what their names say."""

from __future__ import annotations

import colorsys
import io
from typing import Any

import fakes
import numpy as np
import pytest
from PIL import Image

from export.errors import UserError
from tasks.data.altered.corruption import CORRUPTIONS, SEVERITIES, SIDE, _photons, corrupted, named
from tasks.data.altered.shift import shifted
from tasks.data.base import DataSet


def picture(seed: int = 0) -> Any:
    """A photograph-like picture: smooth colours with edges."""
    small = np.random.default_rng(seed).integers(40, 216, (14, 14, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((SIDE, SIDE), Image.Resampling.BICUBIC), np.float32) / 255


def harmed(name: str, level: int, seed: int = 1) -> Any:
    return np.clip(CORRUPTIONS[name](picture(), level, np.random.default_rng(seed)), 0, 1)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_each_harms_more_with_severity(name: str) -> None:
    off = []
    for level in range(5):
        found = harmed(name, level)
        assert found.shape == (SIDE, SIDE, 3)
        assert found.dtype == np.float32
        assert np.isfinite(found).all()
        off.append(float(np.abs(found - picture()).mean()))
    assert off[0] > 0.001
    # elastic starts anew at the third severity, and the weather changes in kind, as in the paper
    if name not in ("elastic_transform", "snow", "frost", "glass_blur"):
        assert off == sorted(off)


def test_there_are_fifteen_at_five_severities() -> None:
    assert len(CORRUPTIONS) == 15
    assert len(named("all")) == 75
    assert named("fog:3") == [("fog", 3)]
    assert named("fog") == [("fog", level) for level in SEVERITIES]
    for wrong, message in (("fogg", "fogg"), ("fog:6", "1 to 5")):
        with pytest.raises(UserError, match=message):
            named(wrong)


def test_brightness_lifts_the_value_and_keeps_the_hue() -> None:
    before, after = picture(), harmed("brightness", 2)
    for y, x in [(3, 5), (100, 40), (200, 210)]:
        h, s, v = colorsys.rgb_to_hsv(*before[y, x])
        np.testing.assert_allclose(after[y, x], colorsys.hsv_to_rgb(h, s, min(v + 0.3, 1)), atol=1e-6)


def test_contrast_pixelate_and_jpeg_are_what_they_are_called() -> None:
    off, whole = (part.std(axis=(0, 1), dtype=np.float64) for part in (harmed("contrast", 1), picture()))
    np.testing.assert_allclose(off, 0.3 * whole, rtol=1e-5)
    assert len(np.unique(harmed("pixelate", 4).reshape(-1, 3), axis=0)) <= 56 * 56
    out = io.BytesIO()
    Image.fromarray(np.rint(picture() * 255).astype(np.uint8)).save(out, "JPEG", quality=25)
    np.testing.assert_allclose(harmed("jpeg_compression", 0), np.asarray(Image.open(out)) / 255, atol=1e-7)


def test_noise_has_its_deviation() -> None:
    grey = np.full((SIDE, SIDE, 3), 0.5, np.float32)
    draw = np.random.default_rng(0)
    assert (CORRUPTIONS["gaussian_noise"](grey, 0, draw) - grey).std() == pytest.approx(0.08, rel=0.02)
    assert CORRUPTIONS["shot_noise"](grey, 1, draw).std() == pytest.approx(np.sqrt(0.5 / 25), rel=0.02)
    struck = CORRUPTIONS["impulse_noise"](grey, 4, draw)
    assert (struck != 0.5).mean() == pytest.approx(0.27, abs=0.01)
    assert set(np.unique(struck)) == {0, 0.5, 1}


@pytest.mark.parametrize("photons", [60, 25, 12, 5, 3])
def test_photons_are_counted_as_poisson_has_it(photons: int) -> None:
    from scipy.stats import poisson

    table = _photons(photons)
    for value in (0, 1, 40, 128, 255):
        mean = value / 255 * photons
        shares = np.bincount(table[value], minlength=200) / table.shape[1]
        assert np.abs(shares - poisson.pmf(np.arange(200), mean)).max() <= 1 / table.shape[1]
        assert table[value].mean() == pytest.approx(mean, abs=2e-3)
        assert table[value].var() == pytest.approx(mean, rel=0.01)


@pytest.mark.parametrize("name", ["defocus_blur", "glass_blur", "motion_blur", "zoom_blur"])
def test_blurs_keep_a_plain_surface(name: str) -> None:
    grey = np.full((SIDE, SIDE, 3), 0.4, np.float32)
    found = CORRUPTIONS[name](grey, 3, np.random.default_rng(0))
    np.testing.assert_allclose(found, grey, atol=1e-6)


def data() -> DataSet:
    return fakes.dataset(30, 3)


def test_only_test_images_are_harmed_each_by_its_own_noise_and_always_alike() -> None:
    one = corrupted(data(), "gaussian_noise", 3)
    assert [s.id for s in one.samples] == [s.id for s in data().split("test")]
    assert {s.split for s in one.samples} == {"test"}
    first, second = (one.read(s.id) for s in one.samples[:2])
    assert first == one.read(one.samples[0].id)
    assert first != second
    assert Image.open(io.BytesIO(first)).size == (SIDE, SIDE)
    assert corrupted(data(), "gaussian_noise", 3, seed=1).read(one.samples[0].id) != first
    assert corrupted(data(), "fog", 1).digest != corrupted(data(), "fog", 1, orientation="exif").digest
    digests = {corrupted(data(), "fog", level, seed).digest for level in (1, 2) for seed in (0, 1)}
    assert len(digests) == 4


def test_it_is_a_shift_like_any_other() -> None:
    [found] = shifted(data(), corrupted(data(), "fog", 2))
    assert found.name == "drawn→fog-2"
    assert len(found.split("test")) == len(data().split("test"))
    assert found.split("train")
    sample = found.split("test")[0]
    assert found.read(sample.id) == corrupted(data(), "fog", 2).read(sample.id.removeprefix("1:"))

"""Every mode and depth against the picture that went in, computed with numpy and not with the conversion under test."""

from __future__ import annotations

import io
import logging
import struct
import warnings
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from encoders import exif, pillow, png, tiff
from PIL import Image, ImageCms, features

from export import picture
from export.picture import Undecodable, decode, look, plain

H, W = 12, 17
DRAW = np.random.default_rng(0)
RGB = DRAW.integers(0, 256, (H, W, 3), np.uint8)
GREY = RGB[..., 0]
ALPHA = RGB[..., 1:2]
DEEP = DRAW.integers(0, 65536, (H, W, 3)).astype(np.uint16)
GREY_DEEP = DEEP[..., 0]
PALETTE = DRAW.integers(0, 256, (256, 3), np.uint8)
SMOOTH = np.kron(DRAW.integers(0, 256, (3, 4, 3), np.uint8), np.ones((16, 16, 1), np.uint8))
"""What a lossy codec keeps."""


def grey(values: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    return np.repeat(values.astype(np.uint8)[..., None], 3, axis=2)


def spread(values: npt.NDArray[Any], depth: int) -> Any:
    """0 … 2^depth - 1 over 0 … 255."""
    return values.astype(np.int64) * 255 // (2**depth - 1)


def with_alpha(values: npt.NDArray[Any], alpha: npt.NDArray[Any] = ALPHA) -> npt.NDArray[Any]:
    return np.concatenate([values.reshape(H, W, -1), alpha], axis=2).astype(values.dtype)


def from_cmyk(inks: npt.NDArray[Any]) -> Any:
    inks = inks.astype(np.float64)
    return (255 - inks[..., :3]) * (255 - inks[..., 3:]) / 255


def from_ycbcr(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """JFIF's equations."""
    y, cb, cr = (values[..., i].astype(np.float64) for i in range(3))
    cb, cr = cb - 128, cr - 128
    return np.clip(np.stack([y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb], axis=2), 0, 255)


def from_lab(values: npt.NDArray[Any]) -> Any:
    """CIELAB on D50 (8 bits, a and b signed) → sRGB: CIE 15, Bradford's matrix, IEC 61966-2-1."""
    lightness = values[..., 0] / 255 * 100
    a, b = (values[..., i].view(np.int8).astype(np.float64) for i in (1, 2))
    fy = (lightness + 16) / 116
    f = np.stack([fy + a / 500, fy, fy - b / 200], axis=2)
    xyz = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * [0.9642, 1.0, 0.8249]
    to_d65 = np.array([[0.95558, -0.02304, 0.06316], [-0.02829, 1.00994, 0.02101], [0.0123, -0.02048, 1.32991]])
    to_rgb = np.array([[3.24045, -1.53714, -0.49853], [-0.96927, 1.87601, 0.04156], [0.05564, -0.20403, 1.05723]])
    linear = np.clip(xyz @ (to_rgb @ to_d65).T, 0, 1)
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def twelve_bits(values: npt.NDArray[Any]) -> bytes:
    """A grey TIFF of 12 bits a sample, two samples in three bytes."""
    bits = np.unpackbits(values.astype(">u2").view(np.uint8).reshape(H, -1, 2), axis=2)[..., 4:]
    return tiff(np.packbits(bits.reshape(H, -1), axis=1), 1, tags={256: values.shape[1], 258: 12})


def pnm(kind: bytes, largest: int, values: npt.NDArray[Any]) -> bytes:
    return b"%s\n%d %d\n%d\n" % (kind, W, H, largest) + values.astype(">u2").tobytes()


def premultiplied(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Colours times an alpha of at least one half: dividing by it again is off by one at most."""
    alpha = ALPHA // 2 + 128
    return with_alpha(np.rint(values.reshape(H, W, -1) * (alpha / 255)).astype(np.uint8), alpha)


def paletted() -> Image.Image:
    image = Image.frombytes("P", (W, H), GREY.tobytes())
    image.putpalette(PALETTE.tobytes())
    return image


A, D, DARK, C = picture.TRANSPARENT, picture.DEEP, picture.DARK, picture.CMYK
TABLE, CLEAR_LAST = (b"PLTE", PALETTE.tobytes()), (b"tRNS", b"\xff" * 255 + b"\0")
LAB = np.stack([60 + GREY // 4, RGB[..., 1] // 8, (RGB[..., 2] // 8 - 16).view(np.uint8)], axis=2)
Case = tuple[bytes, npt.NDArray[Any], list[str], int]
CASES: dict[str, Case] = {
    **{f"PNG grey {d}": (png(GREY >> (8 - d), d, 0), grey(spread(GREY >> (8 - d), d)), [], 0) for d in (1, 2, 4, 8)},
    **{
        f"PNG palette {d}": (
            png(GREY >> (8 - d), d, 3, [(b"PLTE", PALETTE[: 2**d].tobytes())]),
            PALETTE[GREY >> (8 - d)],
            [],
            0,
        )
        for d in (1, 2, 4, 8)
    },
    "PNG palette, alphas": (png(GREY, 8, 3, [TABLE, (b"tRNS", bytes(range(256)))]), PALETTE[GREY], [A], 0),
    "PNG palette, one clear": (png(GREY >> 4, 4, 3, [TABLE, (b"tRNS", b"\xff\0")]), PALETTE[GREY >> 4], [A], 0),
    "PNG palette, clear unused": (png(GREY >> 1, 8, 3, [TABLE, CLEAR_LAST]), PALETTE[GREY >> 1], [], 0),
    "PNG grey, colour key": (png(GREY, 8, 0, [(b"tRNS", b"\0" + GREY[0, :1].tobytes())]), grey(GREY), [A], 0),
    "PNG bits, colour key": (png(GREY >> 7, 1, 0, [(b"tRNS", b"\0\1")]), grey((GREY >> 7) * 255), [A], 0),
    "PNG RGB, colour key": (png(RGB, 8, 2, [(b"tRNS", RGB[0, 0].astype(">u2").tobytes())]), RGB, [A], 0),
    "PNG grey 16": (png(GREY_DEEP, 16, 0), grey(GREY_DEEP >> 8), [D], 0),
    "PNG grey 16, of 12 bits": (png(GREY_DEEP >> 4, 16, 0), grey(GREY_DEEP >> 12), [DARK], 0),
    "PNG grey 16, colour key": (png(GREY_DEEP, 16, 0, [(b"tRNS", b"\1\2")]), grey(GREY_DEEP >> 8), [A, D], 0),
    "PNG RGB 16": (png(DEEP, 16, 2), DEEP >> 8, [D], 0),
    "PNG RGB 16, colour key": (png(DEEP, 16, 2, [(b"tRNS", b"\1\2" * 3)]), DEEP >> 8, [A, D], 0),
    "PNG LA": (png(with_alpha(GREY), 8, 4), grey(GREY), [A], 0),
    "PNG LA 16": (png(with_alpha(GREY_DEEP), 16, 4), grey(GREY_DEEP >> 8), [A, D], 0),
    "PNG RGBA": (png(with_alpha(RGB), 8, 6), RGB, [A], 0),
    "PNG RGBA, opaque": (png(with_alpha(RGB, ALPHA | 255), 8, 6), RGB, [], 0),
    "PNG RGBA 16": (png(with_alpha(DEEP), 16, 6), DEEP >> 8, [A, D], 0),
    "PNG gamma": (png(RGB, 8, 2, [(b"gAMA", struct.pack(">I", 100_000))]), RGB, [picture.PROFILE], 0),
    "PNG usual gamma": (png(RGB, 8, 2, [(b"gAMA", struct.pack(">I", 45_455))]), RGB, [], 0),
    **{f"TIFF grey {d}": (tiff(GREY >> (8 - d), 1, d), grey(spread(GREY >> (8 - d), d)), [], 0) for d in (1, 2, 4, 8)},
    **{
        f"TIFF white is zero {d}": (tiff(GREY >> (8 - d), 0, d), grey(255 - spread(GREY >> (8 - d), d)), [], 0)
        for d in (1, 2, 4, 8)
    },
    **{
        f"TIFF grey 16 {o}": (tiff(GREY_DEEP.astype(f"{o}u2"), 1), grey(GREY_DEEP >> 8), [D], 0) for o in "<>"
    },
    **{f"TIFF RGB 16 {o}": (tiff(DEEP.astype(f"{o}u2"), 2), DEEP >> 8, [D], 0) for o in "<>"},
    "TIFF grey 16, white is zero": (tiff(GREY_DEEP, 0), grey((65535 - GREY_DEEP) >> 8), [D], 0),
    "TIFF grey 12": (twelve_bits(GREY_DEEP[:, :16] >> 4), grey(GREY_DEEP[:, :16] >> 8), [D], 0),
    "TIFF grey 16, of 10 bits": (tiff(GREY_DEEP >> 6, 1), grey(GREY_DEEP >> 14), [DARK], 0),
    "TIFF palette, alpha": (pillow(paletted().convert("PA"), "TIFF"), PALETTE[GREY], [], 0),
    "TIFF CMYK": (tiff(with_alpha(RGB), 5), from_cmyk(with_alpha(RGB)), [C], 1),
    "TIFF CMYK 16": (tiff(with_alpha(DEEP), 5), from_cmyk(with_alpha(DEEP) >> 8), [C, D], 1),
    "TIFF RGBX": (tiff(with_alpha(RGB), 2, tags={338: 0}), RGB, [], 0),
    "TIFF RGBA": (tiff(with_alpha(RGB), 2, tags={338: 2}), RGB, [A], 0),
    "TIFF RGBa": (tiff(premultiplied(RGB), 2, tags={338: 1}), RGB, [A], 2),
    "TIFF LA": (tiff(with_alpha(GREY), 1, tags={338: 2}), grey(GREY), [A], 0),
    "TIFF La": (tiff(premultiplied(GREY), 1, tags={338: 1}), grey(GREY), [A], 2),
    "TIFF YCbCr": (tiff(RGB, 6), from_ycbcr(RGB), [], 1),
    "TIFF LAB": (tiff(LAB, 8), from_lab(LAB), [picture.LAB], 3),
    "TIFF orientation": (tiff(RGB, 2, tags={274: 6}), np.rot90(RGB, -1), [], 0),
    "PGM 16": (pnm(b"P5", 65535, GREY_DEEP), grey(GREY_DEEP >> 8), [D], 0),
    "PGM 10": (pnm(b"P5", 1023, GREY_DEEP >> 6), grey(np.rint((GREY_DEEP >> 6) / 1023 * 65535) // 256), [D], 0),
    "PPM 16": (pnm(b"P6", 65535, DEEP), DEEP / 257, [D], 1),
    "GIF": (pillow(Image.fromarray(GREY), "GIF"), grey(GREY), [], 0),
    "BMP 1": (pillow(Image.fromarray((GREY >> 7) * 255).convert("1"), "BMP"), grey((GREY >> 7) * 255), [], 0),
    "TGA": (pillow(Image.fromarray(with_alpha(RGB)), "TGA"), RGB, [A], 0),
    "ICO": (pillow(Image.fromarray(with_alpha(RGB)), "ICO", sizes=[(W, H)]), RGB, [A], 0),
    "JPEG": (pillow(Image.fromarray(SMOOTH), "JPEG", quality=95, subsampling=0), SMOOTH, [], 6),
    "JPEG, not YCbCr": (pillow(Image.fromarray(SMOOTH), "JPEG", quality=95, keep_rgb=True), SMOOTH, [], 6),
    "JPEG grey": (pillow(Image.fromarray(SMOOTH[..., 0]), "JPEG", quality=95), grey(SMOOTH[..., 0]), [], 6),
}  # fmt: skip


SINCE_13 = ("TIFF La", "TIFF YCbCr")
PILLOW = int(version("pillow").split(".")[0])


@pytest.mark.parametrize("name", CASES)
def test_the_pixels_are_the_pictures(name: str) -> None:
    if name in SINCE_13 and PILLOW < 13:
        pytest.skip(f"Pillow {PILLOW} refuses it")
    encoded, wanted, traits, within = CASES[name]
    found = decode(encoded)
    assert found.dtype == np.uint8
    assert found.shape == wanted.shape
    assert np.abs(found - wanted.astype(np.float64)).max() <= within
    seen = look(encoded, 128)
    assert sorted(seen.traits) == sorted(traits)
    luma = wanted @ [0.299, 0.587, 0.114]
    assert np.abs(np.asarray(seen.grey) - luma).max() <= within + 1


CODECS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "WebP": ("webp", "WEBP", {"lossless": True}),
    "AVIF": ("avif", "AVIF", {"quality": 100, "subsampling": "4:4:4"}),
    "JPEG 2000": ("jpg_2000", "JPEG2000", {}),
}


@pytest.mark.parametrize("name", CODECS)
def test_codecs_that_pillow_may_lack(name: str) -> None:
    feature, form, how = CODECS[name]
    if not features.check(feature):
        pytest.skip(f"this Pillow is built without {name}")
    clear = np.concatenate([SMOOTH, np.full((*SMOOTH.shape[:2], 1), 255, np.uint8)], axis=2)
    clear[:8, :8, 3] = 1
    for drawn, traits in ((SMOOTH, ()), (clear, (picture.TRANSPARENT,))):
        encoded = pillow(Image.fromarray(drawn), form, **how)
        assert look(encoded, 128).traits == traits
        assert np.abs(decode(encoded).astype(int) - SMOOTH).max() <= 6


def flat_cmyk(*inks: int) -> bytes:
    return pillow(Image.new("CMYK", (16, 16), inks), "JPEG", quality=100)


def test_jpegs_of_four_inks() -> None:
    """Adobe stores what is left white: of the inks as they are, or (APP14's transform 2) in YCC."""
    inks = (200, 40, 90, 30)
    encoded = flat_cmyk(*inks)
    assert b"Adobe" in encoded
    assert np.abs(decode(encoded) - from_cmyk(np.array(inks)[None, None])).max() <= 2
    assert look(encoded, 128).traits == (picture.CMYK,)
    at = encoded.index(b"Adobe") + 11
    ycck = encoded[:at] + b"\2" + encoded[at + 1 :]
    cmy = from_ycbcr(255 - np.array(inks)[None, None, :3])
    assert np.abs(decode(ycck) - (255 - cmy) * (255 - inks[3]) / 255).max() <= 2


def test_another_decoder_reads_adobes_inks_alike() -> None:
    cv2 = pytest.importorskip("cv2")
    encoded = flat_cmyk(200, 40, 90, 30)
    other = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert np.abs(decode(encoded).astype(int) - other).max() <= 3


JPEG = pillow(Image.fromarray(SMOOTH), "JPEG")
REFUSED: dict[str, tuple[bytes, str]] = {
    "TIFF int32": (tiff(GREY.astype("<i4"), 1), "32-bit integers"),
    "TIFF uint32": (tiff(GREY.astype("<u4"), 1), "32-bit integers"),
    "TIFF int16": (tiff(GREY.astype(">i2"), 1), "signed"),
    "TIFF int8": (tiff(GREY.astype(np.int8), 1), "signed"),
    "TIFF float32": (tiff(GREY.astype(">f4"), 1), "floating-point"),
    "TIFF float64": (tiff(GREY.astype("<f8"), 1), "TIFF .* kind that Pillow does not read"),
    "TIFF of five channels": (tiff(np.concatenate([RGB, RGB[..., :2]], 2), 1), "TIFF .* kind that Pillow does not"),
    "PFM": (b"Pf\n2 2\n-1.0\n" + bytes(16), "floating-point"),
    "DNG": (tiff(RGB, 2, tags={50706: 1}), "camera's raw file"),
    "preview": (tiff(RGB, 2, tags={254: 1}), "only a preview"),
    "too large": (pnm(b"P5", 255, GREY).replace(b"%d %d" % (W, H), b"20000 20000"), "400,000,000 pixels"),
    "nothing": (b"", "empty"),
    "cut JPEG": (JPEG[:-50], "JPEG data are damaged or cut off: .*truncated"),
    "header of a JPEG": (JPEG[:200], "a JPEG file that is damaged"),
    "cut PNG": (png(RGB, 8, 2)[:-100], "PNG data are damaged"),
    "EPS": (pillow(Image.fromarray(RGB), "EPS"), "PostScript"),
    "WMF": (b"\xd7\xcd\xc6\x9a" + bytes(60), "metafile"),
    "12-bit JPEG": (JPEG.replace(b"\xff\xc0\0\x11\x08", b"\xff\xc0\0\x11\x0c"), "12-bit"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_shown_is_refused_by_name_and_alike(name: str) -> None:
    encoded, why = REFUSED[name]
    with pytest.raises(Undecodable, match=why) as refused:
        decode(encoded)
    with pytest.raises(Undecodable, match=why) as overlooked:
        look(encoded, 128)
    assert str(refused.value) == str(overlooked.value)
    assert " object at " not in str(refused.value)


def test_pillows_own_limit_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50)  # it warns above this, and refuses above twice as many
    np.testing.assert_array_equal(decode(CASES["PNG grey 8"][0]), grey(GREY))


@pytest.mark.slow
def test_a_scan_of_a_hundred_megapixels_is_read() -> None:
    scan = Image.new("1", (10_000, 10_000), 1)
    assert decode(pillow(scan, "TIFF", compression="group4"))[0, 0].tolist() == [255, 255, 255]


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_exif_orientation_is_applied_where_it_is_asked_for(form: str) -> None:
    if form == "WEBP" and not features.check("webp"):
        pytest.skip("this Pillow is built without WebP")
    upright: dict[int, Callable[[npt.NDArray[Any]], npt.NDArray[Any]]] = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: np.rot90(a, -1),
        7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
        8: lambda a: np.rot90(a),
    }
    for number, turned in upright.items():
        how = {"quality": 95, "subsampling": 0} if form == "JPEG" else {"lossless": True} if form == "WEBP" else {}
        encoded = pillow(Image.fromarray(SMOOTH), form, exif=exif(number), **how)
        assert np.abs(decode(encoded).astype(int) - SMOOTH).mean() < 3
        assert np.abs(decode(encoded, "exif").astype(int) - turned(SMOOTH)).mean() < 3
        assert decode(encoded, "exif").shape == turned(SMOOTH).shape
        assert look(encoded, 128).traits == ((picture.TURNED.format(number),) if number > 1 else ())


def test_damaged_exif_costs_nothing() -> None:
    encoded = pillow(Image.fromarray(SMOOTH), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff" + bytes(20))
    np.testing.assert_array_equal(decode(encoded), decode(encoded, "exif"))
    assert look(encoded, 128).traits == ()


def test_a_tiffs_own_orientation_is_its_format() -> None:
    encoded = tiff(RGB, 2, tags={274: 6})
    np.testing.assert_array_equal(decode(encoded, "exif"), decode(encoded))


@pytest.mark.parametrize("form", ["GIF", "PNG", "WEBP", "TIFF", "MPO"])
def test_of_several_frames_the_first_is_read(form: str) -> None:
    if form == "WEBP" and not features.check("webp"):
        pytest.skip("this Pillow is built without WebP")
    frames = [Image.new("RGB", (16, 16), (level, level, level)) for level in (40, 200, 90)]
    encoded = pillow(frames[0], form, save_all=True, append_images=frames[1:])
    assert picture.FRAMES in look(encoded, 128).traits
    assert np.abs(decode(encoded).astype(int) - 40).max() <= 3
    assert not plain(encoded)


def test_a_colour_profile_is_named_and_not_applied() -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    wide = bytearray(srgb)
    for i in range(struct.unpack_from(">I", srgb, 128)[0]):
        name, offset, _ = struct.unpack_from(">4sII", srgb, 132 + 12 * i)
        if name == b"gXYZ":  # Display P3's green
            struct.pack_into(">3i", wide, offset + 8, *(round(v * 65536) for v in (0.2919, 0.6922, 0.0419)))
    for profile, traits in ((srgb, ()), (bytes(wide), (picture.PROFILE,)), (b"nonsense" * 30, ())):
        encoded = pillow(Image.fromarray(RGB), "PNG", icc_profile=profile)
        assert look(encoded, 128).traits == traits
        np.testing.assert_array_equal(decode(encoded), RGB)


def test_shapes_that_a_crop_cannot_show() -> None:
    for size, traits in (((7, 300), (picture.SMALL,)), ((9, 91), (picture.STRIP,)), ((8, 80), ())):
        assert look(pillow(Image.new("L", size), "PNG"), 128).traits == traits


def test_plain_is_what_any_decoder_must_read_alike() -> None:
    assert plain(CASES["JPEG"][0])
    assert plain(CASES["PNG grey 8"][0])
    for name in ("PNG RGB 16", "PNG RGBA", "TIFF RGB 16 <", "TIFF CMYK", "PNG palette 8", "TIFF orientation"):
        assert not plain(CASES[name][0])


def noisy() -> list[bytes]:
    """Files over which Pillow, its loggers or libtiff have something to say."""
    whole = pillow(Image.fromarray(SMOOTH), "TIFF", compression="tiff_lzw")
    return [
        whole[:-200],
        whole.replace(whole[8:80], bytes(DRAW.integers(0, 256, 72, np.uint8))),
        pillow(Image.fromarray(SMOOTH), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\x05\0\x12\x01\x03\0"),
        CASES["PNG palette, alphas"][0],
        tiff(RGB, 2, tags={277: 200}),
    ]


def test_libraries_keep_quiet(capfd: pytest.CaptureFixture[str]) -> None:
    files = noisy()
    before = list(warnings.filters)
    loggers = list(logging.getLogger("PIL.TiffImagePlugin").filters)
    for encoded in files:  # the suite's own filters make errors of warnings
        for read in (decode, lambda one: look(one, 128)):
            with suppress(Undecodable):
                read(encoded)
    assert capfd.readouterr() == ("", "")
    assert warnings.filters == before
    assert logging.getLogger("PIL.TiffImagePlugin").filters == loggers


def test_a_large_jpeg_may_be_decoded_smaller_but_at_least_so_large() -> None:
    pixels = np.tile(np.linspace(0, 255, 800, dtype=np.uint8)[None, :, None], (600, 1, 3))
    for name, size in (("JPEG", (150, 200, 3)), ("PNG", (600, 800, 3))):
        out = io.BytesIO()
        Image.fromarray(pixels).save(out, name)
        small = decode(out.getvalue(), side=96)
        assert small.shape == size
        assert np.abs(small[:, :: small.shape[1] // 8].mean(axis=(0, 2)) - pixels[0, ::100, 0]).max() < 6
        assert decode(out.getvalue()).shape == (600, 800, 3)

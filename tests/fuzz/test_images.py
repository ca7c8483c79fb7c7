"""The door for images: the index and the decoder, on files of every format that are damaged in every way."""

from __future__ import annotations

import struct
from functools import cache
from importlib.metadata import version

import numpy as np
import pytest
from encoders import exif, pillow, png, tiff
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from export import picture
from export.picture import Undecodable, decode
from fuzz import CASES
from tasks.data.index import look

COLOR = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Channels of PNG's colour types."""
DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}


@cache
def whole() -> list[bytes]:
    """Files that are read, of every format that Pillow writes and in several modes."""
    draw = np.random.default_rng(0)
    rgb = Image.fromarray(np.kron(draw.integers(0, 256, (5, 6, 3), np.uint8), np.ones((9, 9, 1), np.uint8)))
    pictures = [rgb, *(rgb.convert(mode) for mode in ("1", "L", "P", "CMYK", "YCbCr", "LAB", "RGBA", "LA"))]
    pictures += [Image.fromarray(np.asarray(rgb.convert("L")).astype(np.uint16) * 250)]
    found = []
    for form in (*picture.FORMATS, "MPO"):
        for image in pictures:
            try:
                found.append(pillow(image, form, exif=exif(6)) if form in ("JPEG", "PNG") else pillow(image, form))
            except (OSError, ValueError, KeyError, TypeError):  # it does not write this mode, or nothing at all
                continue
    frames = {"save_all": True, "append_images": [rgb.rotate(90)]}
    found += [pillow(rgb, form, **frames) for form in ("GIF", "PNG", "TIFF")]
    found += [pillow(rgb, "TIFF", compression=kind) for kind in ("tiff_lzw", "jpeg", "tiff_deflate", "packbits")]
    found += [pillow(rgb, "JPEG", progressive=True), pillow(rgb, "JPEG", keep_rgb=True)]
    large = rgb.resize((1100, 1030))  # of which the index decodes an eighth
    found += [pillow(large, "JPEG", quality=40, progressive=kind) for kind in (False, True)]
    found += [pillow(large.convert(mode), "JPEG", quality=40) for mode in ("L", "CMYK")]
    return [one for one in found if len(one) < 40_000]


@st.composite
def pngs(draw: st.DrawFn) -> bytes:
    """PNGs of every kind, some with what does not belong there."""
    color = draw(st.sampled_from(sorted(COLOR)))
    depth = draw(st.sampled_from(DEPTHS[color]))
    height, width = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    values = np.random.default_rng(draw(st.integers(0, 99))).integers(0, 2**depth, (height, width, COLOR[color]))
    chunks = [(b"PLTE", draw(st.binary(min_size=3, max_size=24)))] if color == 3 or draw(st.booleans()) else []
    names = st.sampled_from([b"tRNS", b"gAMA", b"eXIf", b"iCCP", b"acTL", b"fcTL", b"cHRM", b"sBIT", b"zTXt", b"pHYs"])
    chunks += draw(st.lists(st.tuples(names, st.binary(max_size=24)), max_size=3))
    return png(values, depth, color, chunks)


@st.composite
def tiffs(draw: st.DrawFn) -> bytes:
    """TIFFs of every sample format, with tags that may contradict each other."""
    kind = draw(
        st.sampled_from(["u1", "<u2", ">u2", "<u4", "i1", "<i2", ">i2", "<i4", ">i4", "<f2", "<f4", ">f4", "f8"])
    )
    channels = draw(st.integers(1, 5))
    values = np.random.default_rng(draw(st.integers(0, 99))).integers(0, 120, (6, 7, channels)).astype(kind)
    names = st.sampled_from([254, 258, 259, 262, 266, 274, 277, 278, 279, 284, 317, 320, 322, 338, 339, 50706])
    tags = draw(st.dictionaries(names, st.integers(0, 40) | st.integers(0, 2**32 - 1), max_size=2))
    return tiff(values, draw(st.integers(0, 9)), tags=tags)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A file that was read, cut off, overwritten in places, or with bytes too many."""
    content = bytearray(draw(st.sampled_from(whole())))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(content) - 1) | st.integers(0, min(200, len(content) - 1)))
        if draw(st.booleans()):
            content[at] = draw(st.integers(0, 255))
        else:
            content[at : at + 4] = struct.pack(
                draw(st.sampled_from("<>")) + "I", draw(st.sampled_from([0, 1, 2**31, 2**32 - 1]))
            )
    if draw(st.booleans()):
        del content[draw(st.integers(1, len(content))) :]
    return bytes(content) + draw(st.just(b"") | st.binary(max_size=9))


STARTS = [
    *(
        b"",
        b"\xff\xd8\xff",
        b"\x89PNG\r\n\x1a\n",
        b"GIF89a",
        b"BM",
        b"II*\0",
        b"MM\0*",
        b"RIFF\0\0\0\0WEBP",
        b"8BPS\0\1",
    ),
    *(b"P6\n2 2\n", b"\0\0\1\0\1\0", b"qoif", b"DDS |\0\0\0", b"\0\0\0\x1cftypavif", b"\0\0\0\x0cjP  \r\n\x87\n"),
    *(b"icns", b"<", b"{", b"PK\3\4", b"%!PS"),
]
ANYTHING = st.tuples(st.sampled_from(STARTS), st.binary(max_size=120)).map(b"".join)


def must_agree(encoded: bytes) -> None:
    """Read by both, or refused by both with one sentence."""
    seen = look(lambda _: encoded, "image")
    orientations: tuple[picture.Orientation, ...] = ("stored", "exif")
    for orientation in orientations:
        if seen.trouble is None:
            pixels = decode(encoded, orientation)
            assert pixels.dtype == np.uint8
            assert pixels.ndim == 3
            assert pixels.shape[2] == 3
            assert pixels.size
            assert seen.hash is not None
            assert seen.thumbnail is not None
        else:
            with pytest.raises(Undecodable) as refused:
                decode(encoded, orientation)
            assert seen.trouble == refused.value.reason
            assert refused.value.why.endswith(".")
            assert " object at " not in seen.trouble


def test_the_index_and_the_decoder_agree_on_any_bytes(capfd: pytest.CaptureFixture[str]) -> None:
    @settings(max_examples=CASES)
    @given(damaged() | pngs() | tiffs() | ANYTHING)
    def any_bytes(encoded: bytes) -> None:
        must_agree(encoded)

    any_bytes()
    assert capfd.readouterr() == ("", "")


def test_what_is_whole_is_read(capfd: pytest.CaptureFixture[str]) -> None:
    refused = 0
    for encoded in whole():
        must_agree(encoded)
        refused += look(lambda _, encoded=encoded: encoded, "image").trouble is not None
    assert refused == (int(version("pillow").split(".")[0]) < 13)  # older ones write a YCbCr TIFF that they refuse
    assert len(whole()) > 60
    assert capfd.readouterr() == ("", "")

"""The one decode rule: from the bytes of an image file to RGB, 8 bits a channel.

Everything that looks at an image uses it, the index of a data set included: so what was counted as readable is read.

* The file's content decides what it is, never its name. Only Pillow's own decoders of still pictures are asked: none
  that starts another program (EPS, WMF), and no plug-in that some other library has registered.
* Of several frames the first is read. Transparency is dropped, and what lies beneath it is read, as the evaluation code
  of the checkpoints' authors does (``Image.open(…).convert("RGB")``). Colour profiles and gamma are not applied, as
  there. CMYK is converted by Pillow's formula, CIELAB to sRGB.
* Of 16 bits the upper 8 are read, of grey as of colour. Signed and 32-bit integers and floating point have no range
  that a file would state: they are refused.
* EXIF orientation is not applied, as there, unless ``"exif"`` is asked for. A TIFF's own is part of its format: Pillow
  applies it either way.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image as Pil

from export.errors import UserError, first_line
from export.no_picture import RAW, Words, words
from export.quiet import quiet

VERSION = 2
"""Raised whenever some file would be read otherwise: part of every key over pixels."""

Image = npt.NDArray[np.uint8]
"""A decoded photograph: RGB [h, w, 3]."""

Orientation = Literal["stored", "exif"]

LARGEST = 178_956_970
"""Pixels of the largest picture that is read; Pillow's own limit."""

FORMATS = (
    "JPEG",
    "PNG",
    "WEBP",
    "GIF",
    "BMP",
    "TIFF",
    "AVIF",
    "JPEG2000",
    "PPM",
    "ICO",
    "PSD",
    "QOI",
    "DDS",
    "SGI",
    "PCX",
    "DIB",
    "CUR",
    "ICNS",
    "BLP",
    "FTEX",
    "DCX",
    "FLI",
    "GBR",
    "MSP",
    "PIXAR",
    "SUN",
    "XBM",
    "XPM",
    "XVTHUMB",
    "PCD",
    "IM",
    "TGA",
)  # fmt: skip
"""Pillow's names, those that know their first bytes least last."""

TRANSPARENT = "with transparency, which is dropped: the colours beneath it are read"
DEEP = "of 16 bits a channel, of which the upper 8 are read"
DARK = "of 16 bits a channel whose values need at most 12: nearly black in 8 bits"
CMYK = "in CMYK, converted without a colour profile"
LAB = "in CIELAB, converted to sRGB"
FRAMES = "with several frames, of which the first is read"
PROFILE = "with a colour profile or a gamma other than sRGB's, which is not applied"
SMALL = "with a side of fewer than 8 pixels"
STRIP = "with one side more than 10 times as long as the other"
TURNED = "with EXIF orientation {}, which is not applied without --preprocess cpu:exif"

_TURNS = {
    2: Pil.Transpose.FLIP_LEFT_RIGHT,
    3: Pil.Transpose.ROTATE_180,
    4: Pil.Transpose.FLIP_TOP_BOTTOM,
    5: Pil.Transpose.TRANSPOSE,
    6: Pil.Transpose.ROTATE_270,
    7: Pil.Transpose.TRANSVERSE,
    8: Pil.Transpose.ROTATE_90,
}
_ORIENTATION = 0x0112
_TIFF_SUBFILE, _TIFF_BITS, _TIFF_PHOTOMETRIC, _TIFF_SAMPLE, _TIFF_DNG = 254, 258, 262, 339, 50706
_SRGB_ON_D50 = ((0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141))
"""XYZ of the red, green and blue of sRGB, as profiles of it have them (IEC 61966-2-1, adapted to D50)."""


class Undecodable(UserError):
    """Bytes that are not a whole image, or one that 8-bit RGB cannot show; ``why`` says what they are."""

    @property
    def reason(self) -> str:
        """The same in one line, for where the image is named beside it."""
        return f"{self.why} Try: {self.remedy}" if self.remedy else self.why

    def of(self, name: str) -> Undecodable:
        """The same, with the file's name."""
        return Undecodable(f"{name} cannot be decoded.", self.why, self.remedy)


@dataclass(frozen=True)
class Look:
    """An image at a glance.

    Attributes:
        grey: at its own size, or smaller; Pillow's mode L.
        traits: what of it is not plain 8-bit grey or RGB, and what is done with that.
        size: (height, width) in pixels of what :func:`decode` gives, as stored.
        orientation: by EXIF, 1 to 8; 1 is upright, and what a file has that says nothing.
    """

    grey: Pil.Image
    traits: tuple[str, ...]
    size: tuple[int, int]
    orientation: int = 1


def decode(encoded: bytes, orientation: Orientation = "stored", side: int = 0) -> Image:
    """Decode an image to RGB uint8 [h, w, 3], by the rule above. Any number of threads may.

    Args:
        side: a large JPEG may be decoded at half, a quarter or an eighth of its size, but at least so large.

    Raises:
        Undecodable: the bytes are truncated, damaged, of no known format, or cannot be shown in 8 bits.
    """
    with _opened(encoded) as image:
        if side and image.format in ("JPEG", "MPO"):
            image.draft("RGB", (side, side))
        shown = _as("RGB", _shown(image))
        turn = _TURNS.get(_exif_orientation(image)) if orientation == "exif" else None
        return np.asarray(shown if turn is None else shown.transpose(turn))


def look(encoded: bytes, side: int) -> Look:
    """Look at an image as stored. Accepts and refuses what :func:`decode` does, with the same sentence.

    Args:
        side: a large JPEG may be decoded at half, a quarter or an eighth of its size, but at least so large. All its
            bytes are still parsed, so that a cut-off file is noticed, and most of the arithmetic is saved.

    Raises:
        Undecodable: as :func:`decode`.
    """
    with _opened(encoded) as image:
        traits = [_shape(image)]
        deep = _deep(image)
        whole = None
        if image.format in ("JPEG", "MPO"):
            whole = image.size
            image.draft("L", (side, side))
        grey = _as("L", _shown(image))
        width, height = whole or grey.size
        if deep:
            traits += [DARK if image.mode.startswith("I") and _sixteen_bits(image).max() < 1 << 12 else DEEP]
        traits += [TRANSPARENT] if _transparent(image, deep) else []
        traits += [{"CMYK": CMYK, "LAB": LAB}.get(image.mode, "")]
        traits += [PROFILE] if image.mode != "CMYK" and _other_colours(image.info) else []
        traits += [FRAMES] if _animated(image) else []
        orientation = _exif_orientation(image)
        traits += [TURNED.format(orientation)] if orientation in _TURNS else []
    return Look(grey, tuple(filter(None, traits)), (height, width), orientation)


def plain(encoded: bytes) -> bool:
    """Whether any decoder must give the same picture: 8-bit grey or RGB, one frame, no transparency, not turned.

    Only the header is read.

    Raises:
        Undecodable: it cannot be opened.
    """
    with _opened(encoded) as image:
        odd = _deep(image) or image.has_transparency_data or _animated(image) or image.format == "TIFF"
        return image.mode in ("L", "RGB") and not odd


@contextmanager
def _opened(encoded: bytes) -> Iterator[Pil.Image]:
    """The image, its header read; whatever goes wrong within becomes Undecodable."""
    name = ""
    try:
        with quiet(), _identified(encoded) as image:
            name = image.format or ""
            yield image
    except Undecodable:
        raise
    except MemoryError as error:
        raise _undecodable("There is not enough memory to decode it.") from error
    except Exception as error:  # a decoder that meets damaged data raises anything
        raise _undecodable(f"Its {name} data are damaged or cut off: {first_line(error).rstrip('.')}.") from error


def _identified(encoded: bytes) -> Pil.Image:
    if not encoded:
        raise _not(words(encoded))
    Pil.init()
    said = ""
    for name in FORMATS:
        if name not in Pil.OPEN:
            continue
        factory, accept = Pil.OPEN[name]
        try:
            accepted = accept(encoded[:16]) if accept else True
        except Exception:  # fewer bytes than it looks at
            continue
        if not accepted or isinstance(accepted, str):  # a text says what this Pillow was built without
            said = said or str(accepted or "").rstrip(".")
            continue
        try:
            image = factory(io.BytesIO(encoded), "")
        except MemoryError:
            raise
        except Exception as error:  # how a decoder says that it is not its own, or damaged
            if accept and error.args and isinstance(error.args[0], str) and "this driver" not in error.args[0]:
                said = said or error.args[0]
            continue
        _require_picture(image, encoded)
        return image
    kind = words(encoded)
    raise _undecodable(f"It is {kind.what}{f' ({said})' if said else ''}.", kind.remedy)


def _undecodable(why: str, remedy: str = "") -> Undecodable:
    return Undecodable("An image cannot be decoded.", why, remedy)


def _require_picture(image: Pil.Image, encoded: bytes) -> None:
    """Refuse what opens but would be another picture than the file's, or none, or too large a one."""
    width, height = image.size
    if width * height > LARGEST:
        raise _undecodable(
            f"It has {width * height:,} pixels ({width} x {height}); at most {LARGEST:,} are read.", "scale it down"
        )
    if min(width, height) < 1:
        raise _undecodable("It has no pixels.")
    if image.format == "TIFF":
        tags: Any = image.tag_v2  # type: ignore[attr-defined]
        if encoded[8:10] == b"CR" or _TIFF_DNG in tags:
            raise _not(RAW)
        if tags.get(_TIFF_SUBFILE, 0) == 1:
            raise _not(Words("a TIFF whose first picture is only a preview of another", "save that one alone"))
        if 2 in _values(tags.get(_TIFF_SAMPLE)) and image.mode == "L":
            raise _wide("signed integers")


def _not(kind: Words) -> Undecodable:
    return _undecodable(f"It is {kind.what}.", kind.remedy)


def _wide(what: str) -> Undecodable:
    return _undecodable(
        f"It holds {what}, whose range it does not state: 8 bits cannot show them.",
        "scale it to 8 or to unsigned 16 bits",
    )


def _shown(image: Pil.Image) -> Pil.Image:
    """The picture in 8 bits, mode L or RGB."""
    image.load()
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM"):
        return Pil.fromarray((_sixteen_bits(image) >> 8).astype(np.uint8))
    if image.mode == "I":
        raise _wide("signed or 32-bit integers")
    if image.mode == "F":
        raise _wide("floating-point numbers")
    # what it would do with a colour that stands for transparency is to warn, or to fail: nothing is done with it here
    bare = image.copy() if "transparency" in image.info else image
    bare.info.pop("transparency", None)
    if bare.mode in ("La", "RGBa"):
        bare = bare.convert(bare.mode.upper())
    return _as("L" if bare.mode in ("1", "L", "LA") else "RGB", bare)


def _as(mode: str, image: Pil.Image) -> Pil.Image:
    return image if image.mode == mode else image.convert(mode)  # Pillow would copy


def _sixteen_bits(image: Pil.Image) -> npt.NDArray[np.uint16]:
    """Grey values from 0 (black) to 65535. Pillow gives them as they are stored, with two exceptions that it lacks."""
    values = np.asarray(image).astype(np.uint16)
    tags: Any = getattr(image, "tag_v2", {})
    bits = _values(tags.get(_TIFF_BITS))
    if bits == (12,):
        values <<= 4
    return np.invert(values) if tags.get(_TIFF_PHOTOMETRIC) == 0 else values


def _values(tag: Any) -> tuple[Any, ...]:
    return tag if isinstance(tag, tuple) else () if tag is None else (tag,)


def _deep(image: Pil.Image) -> bool:
    """Whether a channel has more than 8 bits in the file; asked before the pixels are loaded."""
    if image.mode.startswith("I"):
        return True
    bits = _values(getattr(image, "tag_v2", {}).get(_TIFF_BITS))
    if any(isinstance(one, int) and one > 8 for one in bits):
        return True
    for decoder, _, _, how in getattr(image, "tile", ()):
        values = _values(how)
        if any(";16" in str(one) for one in values):
            return True
        if decoder.startswith("ppm") and any(isinstance(one, int) and one > 255 for one in values):
            return True
    return False


def _shape(image: Pil.Image) -> str:
    short, long = sorted(image.size)
    return SMALL if short < 8 else STRIP if long > 10 * short else ""


def _transparent(image: Pil.Image, deep: bool) -> bool:
    """Whether some pixel is not opaque."""
    keyed = "transparency" in image.info
    if deep and keyed:  # by a 16-bit colour, which 8-bit pixels cannot be compared with
        return True
    try:
        if not image.has_transparency_data:
            return False
        alpha = image if image.mode in ("LA", "PA", "RGBA") else image.convert("LA" if image.mode == "La" else "RGBA")
        lowest, _ = alpha.getchannel("A").getextrema()
    except Exception:  # by a colour that the mode cannot have, say: what matters is that the file means it
        return keyed
    return float(lowest) < 255  # type: ignore[arg-type]


def _animated(image: Pil.Image) -> bool:
    if image.format == "PSD":  # its layers are no frames: what is read is all of them
        return False
    try:
        return bool(getattr(image, "is_animated", False))
    except Exception:  # the second frame is damaged
        return True


def _exif_orientation(image: Pil.Image) -> int:
    """1 to 8, 1 where there is none that means anything. Of a TIFF it is 1 once its pixels are loaded."""
    try:
        found = image.getexif().get(_ORIENTATION, 1)
        return int(found) if found in _TURNS else 1
    except Exception:  # damaged metadata are none
        return 1


def _other_colours(info: dict[str | tuple[int, int], Any]) -> bool:
    """Whether a file says that its numbers are not sRGB's."""
    profile = info.get("icc_profile")
    if isinstance(profile, bytes) and len(profile) > 132:
        return profile[16:20] == b"RGB " and not _is_srgb(profile)
    gamma = info.get("gamma")
    return isinstance(gamma, float) and "srgb" not in info and abs(gamma - 1 / 2.2) > 0.01


def _is_srgb(profile: bytes) -> bool:
    """Whether an ICC profile has the primaries of sRGB (ICC.1, 7.3 and 10.31)."""
    try:
        (count,) = struct.unpack_from(">I", profile, 128)
        table = [struct.unpack_from(">4sII", profile, 132 + 12 * i) for i in range(min(count, 100))]
        offsets = {signature: offset for signature, offset, _ in table}
        found = [struct.unpack_from(">3i", profile, offsets[name] + 8) for name in (b"rXYZ", b"gXYZ", b"bXYZ")]
    except (struct.error, KeyError):
        return False
    return bool(np.allclose(np.array(found) / 65536, _SRGB_ON_D50, atol=0.003))

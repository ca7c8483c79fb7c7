"""One mask file: its values as stored, never as colours of a picture; and what values a set of them holds.

A palette image gives its indices, a grey one its levels, a colour one red << 16 | green << 8 | blue. Pillow spreads
grey of 2 and 4 bits over 0 … 255: here the numbers are those in the file.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from export.errors import UserError, first_line
from export.quiet import quiet
from export.store import Store, key
from tasks.data.files import Files

if TYPE_CHECKING:
    from PIL import Image

VERSION = 1
"""Raised whenever some mask would be read otherwise."""
FORMATS = ("PNG", "TIFF", "BMP", "GIF")
"""Without loss."""
MOST = 300
"""Different values of one mask that are kept; a mask with more is no mask of classes."""
_BLOCK = 64
_TIFF_BITS, _TIFF_PHOTOMETRIC = 258, 262

Form = Literal["values", "palette", "colours"]


class Damaged(ValueError):
    """It cannot be read as a mask; the text says why, as a sentence."""


@dataclass(frozen=True)
class Pixels:
    """A decoded mask: ``values`` [h, w], unsigned, and of a palette image the colour of each index."""

    form: Form
    values: npt.NDArray[Any]
    palette: npt.NDArray[np.int64] | None = None


@dataclass(frozen=True)
class Contents:
    """What a mask holds.

    Attributes:
        size: (height, width).
        pixels: value → how many pixels have it; at most :data:`MOST` values.
        solid: value → how many of them begin a 2 x 2 block of that value.
        colours: of a palette image, value → its colour.
        many: how many different values there are.
    """

    sha256: str
    form: Form
    size: tuple[int, int]
    pixels: Mapping[int, int]
    solid: Mapping[int, int]
    colours: Mapping[int, int]
    many: int


def decode(encoded: bytes) -> Pixels:
    """The values of a mask. Any number of threads may.

    Raises:
        Damaged: it is no lossless image, damaged, or of a kind whose values are not certain.
    """
    from PIL import Image

    from export.picture import LARGEST

    try:
        with quiet(), Image.open(io.BytesIO(encoded)) as image:
            if image.format not in FORMATS:
                raise Damaged(f"It is {image.format}; masks are {', '.join(FORMATS)}, which keep every value.")
            if image.width * image.height > LARGEST:
                raise Damaged(f"It has {image.width * image.height:,} pixels; at most {LARGEST:,} are read.")
            return _pixels(image, encoded)
    except Damaged:
        raise
    except MemoryError as error:
        raise Damaged("There is not enough memory to decode it.") from error
    except Exception as error:  # a decoder that meets damaged data raises anything
        raise Damaged(f"It is damaged, or no image: {first_line(error).rstrip('.')}.") from error


def _pixels(image: Image.Image, encoded: bytes) -> Pixels:
    bits = _bits(image, encoded)
    tags: Any = getattr(image, "tag_v2", {})
    if tags.get(_TIFF_PHOTOMETRIC) == 0:
        raise Damaged("It is a TIFF in which 0 is white, and its values may be meant the other way round.")
    image.load()
    if image.mode == "P":
        table = np.array(image.getpalette("RGB") or [0, 0, 0], np.int64).reshape(-1, 3)
        whole = np.zeros((256, 3), np.int64)
        whole[: len(table)] = table
        return Pixels("palette", np.asarray(image), whole @ (1 << 16, 1 << 8, 1))
    if image.mode in ("1", "L", "LA"):
        grey = np.asarray(image if image.mode != "LA" else image.getchannel("L")).astype(np.uint8)
        return Pixels("values", grey // {2: 85, 4: 17}.get(bits, 1))
    if image.mode.startswith("I"):
        deep = np.asarray(image)
        if deep.min() < 0 or deep.max() > 65535:
            raise Damaged(f"It has values from {deep.min()} to {deep.max()}; those of masks are from 0 to 65,535.")
        return Pixels("values", deep.astype(np.uint16))
    if image.mode in ("RGB", "RGBA"):
        if bits == 16:
            raise Damaged("It has 16 bits a channel of colour.")
        rgb = np.asarray(image)[..., :3].astype(np.int32)
        return Pixels("colours", rgb[..., 0] << 16 | rgb[..., 1] << 8 | rgb[..., 2])
    raise Damaged(f"It is of Pillow's mode {image.mode}; masks have a palette, or are grey or RGB.")


def _bits(image: Image.Image, encoded: bytes) -> int:
    """Bits of a channel in the file, where that is known."""
    if image.format == "PNG":
        return encoded[24]
    bits = getattr(image, "tag_v2", {}).get(_TIFF_BITS, 8)
    return int(bits[0] if isinstance(bits, tuple) else bits)


def look(encoded: bytes) -> Contents:
    """What a mask holds.

    Raises:
        Damaged: as :func:`decode`.
    """
    pixels = decode(encoded)
    values = pixels.values
    numbers, counts = np.unique(values, return_counts=True)
    blocks = (values[:-1, :-1] == values[1:, :-1]) & (values[:-1, :-1] == values[:-1, 1:])
    blocks &= values[:-1, :-1] == values[1:, 1:]
    solid, times = np.unique(values[:-1, :-1][blocks], return_counts=True)
    kept = {int(value): int(count) for value, count in zip(numbers[:MOST], counts, strict=False)}
    return Contents(
        hashlib.sha256(encoded).hexdigest(),
        pixels.form,
        (int(values.shape[0]), int(values.shape[1])),
        kept,
        {int(value): int(count) for value, count in zip(solid, times, strict=True) if int(value) in kept},
        {} if pixels.palette is None else {value: int(pixels.palette[value]) for value in kept},
        len(numbers),
    )


def contents(
    names: Sequence[str], files: Files, store: Store, progress: Callable[[int, int], None] | None
) -> dict[str, Contents]:
    """What each mask holds, from the store or by one pass over them on all cores.

    Raises:
        UserError: some cannot be read.
    """
    names = sorted(names)

    def build(folder: Path) -> dict[str, Any]:
        found = _look(names, files, progress)
        (folder / "masks.json").write_text(json.dumps(found))
        return {"masks": len(names)}

    entry = store.obtain("masks", key("masks", version=VERSION, files=files.fingerprint(names)), build)
    found = json.loads(entry.file("masks.json").read_bytes())
    if bad := {name: one for name, one in zip(names, found, strict=True) if isinstance(one, str)}:
        shown = "; ".join(f"{name}: {why}" for name, why in list(bad.items())[:3])
        raise UserError(
            f"{len(bad):,} of {len(names):,} masks cannot be read.", f"The first are {shown}", "fix or remove them"
        )
    return {name: _contents(*one) for name, one in zip(names, found, strict=True)}


def _look(names: Sequence[str], files: Files, progress: Callable[[int, int], None] | None) -> list[Any]:
    def one(name: str) -> Any:
        try:
            seen = look(files.read(name))
        except OSError as error:
            return f"It cannot be read: {error.strerror or error}."
        except Damaged as error:
            return str(error)
        pairs = [list(mapping.items()) for mapping in (seen.pixels, seen.solid, seen.colours)]
        return [seen.sha256, seen.form, seen.size, *pairs, seen.many]

    blocks = [names[i : i + _BLOCK] for i in range(0, len(names), _BLOCK)]
    found: list[Any] = []
    with ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="masks") as pool:
        for block in pool.map(lambda block: [one(name) for name in block], blocks):
            found += block
            if progress:
                progress(len(found), len(names))
    return found


def _contents(sha256: str, form: Form, size: list[int], pixels: Any, solid: Any, colours: Any, many: int) -> Contents:
    return Contents(sha256, form, (size[0], size[1]), dict(pixels), dict(solid), dict(colours), many)

"""PNG and TIFF files put together byte by byte: of kinds that Pillow reads and does not write."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from export.quiet import quiet


def pillow(image: Image.Image, form: str, **how: Any) -> bytes:
    """As Pillow writes it."""
    out = io.BytesIO()
    with quiet():  # it means to give up writing some formats
        image.save(out, form, **how)
    return out.getvalue()


def packed(values: npt.NDArray[Any], depth: int) -> bytes:
    """Rows [h, w * channels] of 1, 2, 4, 8 or 16 bits, each filled up to whole bytes; 16 bits big-endian."""
    if depth == 16:
        return values.astype(">u2").tobytes()
    bits = np.unpackbits(values.astype(np.uint8)[..., None], axis=-1)[..., 8 - depth :]
    return np.packbits(bits.reshape(len(values), -1), axis=1).tobytes()


def png(values: npt.NDArray[Any], depth: int, color: int, chunks: Sequence[tuple[bytes, bytes]] = ()) -> bytes:
    """Values [h, w] or [h, w, channels] as a PNG of that bit depth and colour type (PNG, 11.2.1)."""
    height, width = values.shape[:2]
    rows = packed(values.reshape(height, -1), depth)
    line = len(rows) // height
    data = b"".join(b"\0" + rows[i * line : (i + 1) * line] for i in range(height))
    parts = [(b"IHDR", struct.pack(">2I5B", width, height, depth, color, 0, 0, 0)), *chunks]
    parts += [(b"IDAT", zlib.compress(data)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in parts
    )


def tiff(values: npt.NDArray[Any], photometric: int, bits: int = 0, tags: Mapping[int, int] | None = None) -> bytes:
    """Values [h, w] or [h, w, channels] as one uncompressed strip, in their own byte order.

    Args:
        bits: of a sample, where they are packed; else those of the dtype.
        tags: more tags, each one number.
    """
    height, width = values.shape[:2]
    channels = values.shape[2] if values.ndim == 3 else 1
    order = ">" if values.dtype.str.startswith(">") else "<"
    data = packed(values.reshape(height, -1), bits) if bits and bits < 8 else values.tobytes()
    size = bits or 8 * values.dtype.itemsize
    sample = {"i": 2, "f": 3}.get(values.dtype.kind, 1)
    found = {256: [width], 257: [height], 258: [size] * channels, 259: [1], 262: [photometric], 277: [channels]}
    found |= {278: [height], 279: [len(data)], 339: [sample] * channels, **{t: [v] for t, v in (tags or {}).items()}}
    found[273] = [0]
    start = 8 + 2 + 12 * len(found) + 4
    extra = b""
    entries = b""
    for tag, numbers in sorted(found.items()):
        if tag == 273:
            numbers = [start + sum(8 for n in found.values() if len(n) > 2)]
        if len(numbers) == 1:
            entries += struct.pack(f"{order}HHII", tag, 4, 1, numbers[0])
        elif len(numbers) == 2:
            entries += struct.pack(f"{order}HHIHH", tag, 3, 2, *numbers)
        else:
            entries += struct.pack(f"{order}HHII", tag, 3, len(numbers), start + len(extra))
            extra += struct.pack(f"{order}{len(numbers)}H", *numbers).ljust(8, b"\0")
    head = (b"MM\0*" if order == ">" else b"II*\0") + struct.pack(f"{order}I", 8)
    return head + struct.pack(f"{order}H", len(found)) + entries + b"\0\0\0\0" + extra + data


def exif(orientation: int) -> Image.Exif:
    """EXIF with an orientation."""
    found = Image.Exif()
    found[0x0112] = orientation
    return found

"""Lossless PNG bytes for sets that come as arrays: the same pixels give the same bytes on every machine.

Pillow's PNG depends on the zlib it was built with, and a data set's digest must not; so the pixels are stored, not
compressed.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np
import numpy.typing as npt


def encode(pixels: npt.NDArray[np.uint8]) -> bytes:
    """PNG of uint8 [h, w] (grey) or [h, w, 3] (RGB), with stored deflate blocks (RFC 1950, RFC 1951)."""
    height, width = pixels.shape[:2]
    rows = pixels.reshape(height, -1)
    raw = np.concatenate([np.zeros((height, 1), np.uint8), rows], axis=1).tobytes()  # a filter byte before each row
    blocks = [raw[i : i + 65535] for i in range(0, len(raw), 65535)]
    stored = b"".join(
        struct.pack("<BHH", block is blocks[-1], len(block), len(block) ^ 0xFFFF) + block for block in blocks
    )
    stream = b"\x78\x01" + stored + struct.pack(">I", zlib.adler32(raw))
    header = struct.pack(">IIBBBBB", width, height, 8, 0 if pixels.ndim == 2 else 2, 0, 0, 0)
    parts = (b"IHDR", header), (b"IDAT", stream), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in parts
    )

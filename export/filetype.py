"""What a file is, by its first bytes: one list of signatures for whoever has to name a file that is not what was asked
for. What it is called there, and what to do with it, differs with what was asked for: each says that itself.

A file's ending says what somebody hoped; its first bytes say what came.
"""

from __future__ import annotations

import codecs
import re
from enum import Enum, auto

HEAD = 4096
"""So many first bytes are enough."""


class FileType(Enum):
    """Kinds of content that somebody may take for another."""

    EMPTY = auto()
    ZEROS = auto()
    LFS = auto()
    ANNEX = auto()
    HTML = auto()
    XML = auto()
    SVG = auto()
    JSON = auto()
    TEXT = auto()
    ZIP = auto()
    GZIP = auto()
    BZIP2 = auto()
    XZ = auto()
    ZSTANDARD = auto()
    SEVEN_ZIP = auto()
    RAR = auto()
    TAR = auto()
    LZ4 = auto()
    COMPRESS = auto()
    LZIP = auto()
    CABINET = auto()
    JPEG = auto()
    PNG = auto()
    GIF = auto()
    BMP = auto()
    TIFF = auto()
    WEBP = auto()
    AVIF = auto()
    JPEG_2000 = auto()
    PSD = auto()
    OTHER_IMAGE = auto()
    HEIC = auto()
    JPEG_XL = auto()
    JPEG_XR = auto()
    GIMP = auto()
    DJVU = auto()
    RAW = auto()
    FITS = auto()
    EXR = auto()
    RADIANCE = auto()
    DICOM = auto()
    PDF = auto()
    POSTSCRIPT = auto()
    METAFILE = auto()
    MATROSKA = auto()
    MPEG = auto()
    MP4 = auto()
    AVI = auto()
    WAVE = auto()
    RIFF = auto()
    NUMPY = auto()
    HDF5 = auto()
    MATLAB = auto()
    PARQUET = auto()
    ARROW = auto()
    SQLITE = auto()
    GRIB = auto()
    BUFR = auto()
    APPLE_DOUBLE = auto()
    OLE = auto()
    PICKLE = auto()
    SAFETENSORS = auto()
    GGUF = auto()
    TFLITE = auto()
    ORT = auto()
    EXECUTORCH = auto()
    TENSORRT = auto()


_SIGNATURES: tuple[tuple[int, bytes, FileType], ...] = (
    (0, b"version https://git-lfs", FileType.LFS),
    (0, b"/annex/objects/", FileType.ANNEX),
    (0, b"PK\x03\x04", FileType.ZIP),
    (0, b"PK\x05\x06", FileType.ZIP),
    (0, b"PK\x07\x08", FileType.ZIP),
    (0, b"\x1f\x8b", FileType.GZIP),
    (0, b"\xfd7zXZ\0", FileType.XZ),
    (0, b"\x28\xb5\x2f\xfd", FileType.ZSTANDARD),
    (0, b"7z\xbc\xaf\x27\x1c", FileType.SEVEN_ZIP),
    (0, b"Rar!\x1a\x07", FileType.RAR),
    (257, b"ustar", FileType.TAR),
    (0, b"\x04\x22\x4d\x18", FileType.LZ4),
    (0, b"\x1f\x9d", FileType.COMPRESS),
    (0, b"LZIP", FileType.LZIP),
    (0, b"MSCF", FileType.CABINET),
    (0, b"\xff\xd8\xff", FileType.JPEG),
    (0, b"\x89PNG", FileType.PNG),
    (0, b"GIF87a", FileType.GIF),
    (0, b"GIF89a", FileType.GIF),
    (0, b"II*\0", FileType.TIFF),
    (0, b"MM\0*", FileType.TIFF),
    (0, b"II+\0", FileType.TIFF),
    (0, b"MM\0+", FileType.TIFF),
    (0, b"\0\0\0\x0cjP  ", FileType.JPEG_2000),
    (0, b"\xff\x4f\xff\x51", FileType.JPEG_2000),
    (0, b"8BPS", FileType.PSD),
    (0, b"DDS ", FileType.OTHER_IMAGE),
    (0, b"qoif", FileType.OTHER_IMAGE),
    (0, b"icns", FileType.OTHER_IMAGE),
    (0, b"/* XPM */", FileType.OTHER_IMAGE),
    (0, b"\xff\x0a", FileType.JPEG_XL),
    (0, b"\0\0\0\x0cJXL ", FileType.JPEG_XL),
    (0, b"II\xbc\x01", FileType.JPEG_XR),
    (0, b"gimp xcf", FileType.GIMP),
    (0, b"AT&TFORM", FileType.DJVU),
    (0, b"IIRO", FileType.RAW),
    (0, b"IIRS", FileType.RAW),
    (0, b"MMOR", FileType.RAW),
    (0, b"IIU\0", FileType.RAW),
    (0, b"FUJIFILMCCD-RAW", FileType.RAW),
    (0, b"FOVb", FileType.RAW),
    (0, b"\0MRM", FileType.RAW),
    (0, b"SIMPLE  =", FileType.FITS),
    (0, b"v/1\x01", FileType.EXR),
    (0, b"#?RADIANCE", FileType.RADIANCE),
    (128, b"DICM", FileType.DICOM),
    (0, b"%PDF", FileType.PDF),
    (0, b"%!PS", FileType.POSTSCRIPT),
    (0, b"\xc5\xd0\xd3\xc6", FileType.POSTSCRIPT),  # EPS with a preview
    (0, b"\xd7\xcd\xc6\x9a", FileType.METAFILE),
    (40, b" EMF", FileType.METAFILE),
    (0, b"\x1aE\xdf\xa3", FileType.MATROSKA),
    (0, b"\0\0\x01\xba", FileType.MPEG),
    (0, b"\0\0\x01\xb3", FileType.MPEG),
    (0, b"\x93NUMPY", FileType.NUMPY),
    (0, b"\x89HDF", FileType.HDF5),
    (0, b"MATLAB 5.0", FileType.MATLAB),
    (0, b"PAR1", FileType.PARQUET),
    (0, b"ARROW1", FileType.ARROW),
    (0, b"SQLite format 3\0", FileType.SQLITE),
    (0, b"GRIB", FileType.GRIB),
    (0, b"BUFR", FileType.BUFR),
    (0, b"\0\x05\x16\x07", FileType.APPLE_DOUBLE),
    (0, b"\xd0\xcf\x11\xe0", FileType.OLE),
    (0, b"GGUF", FileType.GGUF),
    (4, b"TFL3", FileType.TFLITE),
    (4, b"ORTM", FileType.ORT),
    (4, b"ET12", FileType.EXECUTORCH),
    (0, b"ftrt", FileType.TENSORRT),
    (0, b"ptrt", FileType.TENSORRT),
)
"""(place, the bytes there, what such a file is)."""
_PATTERNS: tuple[tuple[re.Pattern[bytes], FileType], ...] = (
    (re.compile(rb"BZh[1-9]1AY&SY"), FileType.BZIP2),
    (re.compile(rb"\x80[\x02-\x05]"), FileType.PICKLE),
    (re.compile(rb"BM.{12}[\x0c\x28\x6c\x7c]\0\0\0", re.DOTALL), FileType.BMP),
    (re.compile(rb"P([1-6]|[fF])\s"), FileType.OTHER_IMAGE),  # PBM, PGM, PPM, PFM
    (re.compile(rb"\x0a[\x00\x02\x03\x05]\x01[\x01\x02\x04\x08]"), FileType.OTHER_IMAGE),  # PCX
    (re.compile(rb"\x01\xda[\x00\x01][\x01\x02]"), FileType.OTHER_IMAGE),  # SGI
    (re.compile(rb"\0\0[\x01\x02]\0[^\0]\0"), FileType.OTHER_IMAGE),  # ICO, CUR
)
_BRANDS = {
    **dict.fromkeys(
        (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"), FileType.HEIC
    ),
    **dict.fromkeys((b"avif", b"avis"), FileType.AVIF),
    b"crx ": FileType.RAW,
}
_RIFF = {b"WEBP": FileType.WEBP, b"AVI ": FileType.AVI, b"WAVE": FileType.WAVE}
_WEB = ("<!doctype html", "<html", "<head", "<body", "<script", "<!--")


def filetype(head: bytes) -> FileType | None:
    """What begins with these bytes, at least :data:`HEAD` of a file or all of it; None where that is not known."""
    if not head:
        return FileType.EMPTY
    for place, signature, found in _SIGNATURES:
        if head.startswith(signature, place):
            return found
    for pattern, found in _PATTERNS:
        if pattern.match(head):
            return found
    if head[4:8] == b"ftyp":
        return _isobmff(head)
    if head.startswith(b"RIFF"):
        return _RIFF.get(head[8:12], FileType.RIFF)
    if len(head) >= 10 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 100_000_000:
        return FileType.SAFETENSORS
    return _text(head) if head.strip(b"\0") else FileType.ZEROS


def _isobmff(head: bytes) -> FileType:
    """By the brands in the first box of an ISO base media file; the main one comes first."""
    size = int.from_bytes(head[:4], "big")
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, min(size, 256, len(head)), 4))]
    known = [_BRANDS[brand] for brand in brands if brand in _BRANDS]
    return FileType.AVIF if FileType.AVIF in known else known[0] if known else FileType.MP4


def _text(head: bytes) -> FileType | None:
    """Text in UTF-8 or UTF-16, or markup whatever its encoding."""
    wide = head.startswith((b"\xff\xfe", b"\xfe\xff"))
    encoding = "utf-16" if wide else "utf-8-sig"
    try:
        text, whole = codecs.getincrementaldecoder(encoding)().decode(head[:HEAD]), True
    except UnicodeDecodeError:
        text, whole = head[:HEAD].decode(encoding, "replace"), False
    if any(letter < " " and letter not in "\t\n\r\f\x1b" for letter in text):
        return None
    start = text.lstrip().lower()
    if start.startswith(_WEB):
        return FileType.HTML
    if start.startswith("<"):
        return FileType.SVG if "<svg" in start else FileType.HTML if "<html" in start else FileType.XML
    if re.match(r"[{\[]\s*[\"{\[\]}]", start):
        return FileType.JSON
    return FileType.TEXT if whole else None

"""What a file is: an image that Pillow reads, or what else, in words. By its ending where that is enough, else by its
first bytes.

A file with the ending of an image is taken for one without a look: opening each of 60,000 files would cost more than
listing them, and what does not decode is found by the index. Only unknown and missing endings are looked into.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Sort = Literal["image", "picture", "archive", "document", "other"]


@dataclass(frozen=True)
class Kind:
    """What a file is.

    Attributes:
        what: in words, of several: "videos".
        sort: image: Pillow reads it; picture: shows something, and cannot be read; archive; document: text, tables
            and the like, which a class folder may hold beside its images; other: anything else.
        remedy: what a user can do about it.
    """

    what: str
    sort: Sort
    remedy: str = ""


HEAD = 4096
"""So many first bytes are looked at."""

IMAGE = Kind("images", "image")
IMAGES = frozenset(
    """
    jpg jpeg jpe jfif jif mpo png apng bmp dib webp tif tiff gif ppm pgm pbm pnm pfm avif avifs jp2 j2k
    j2c jpc jpf jpx tga ico pcx dds psd sgi rgb rgba bw qoi icns fits fit xpm xbm
    """.split()  # noqa: SIM905
)
"""Endings of what Pillow reads."""

CONVERT = "convert them to JPEG or PNG, for example: magick mogrify -format png FILES"
POINTER = Kind("Git LFS pointers", "picture", "git lfs pull, in the repository that the files come from")
HEIF = Kind(
    "HEIC images, which Pillow reads only with a plug-in",
    "picture",
    "convert them to JPEG, for example: magick mogrify -format jpg *.heic (or heif-convert)",
)
TEXT = Kind("text files", "document")
TABLE = Kind("CSV tables", "document")
JSON = Kind("JSON files, which are not read", "document", "a CSV table path,label")
XML = Kind("XML files, which are not read", "document", "a CSV table path,label")
HTML = Kind("HTML pages", "document", "download again: a log-in or error page was saved in place of the file")
PARQUET = Kind(
    "Parquet or Arrow tables, which are not read", "document", "export the images, and a CSV table path,label"
)
SHEET = Kind("spreadsheets, which are not read", "document", "save them as CSV")
OFFICE = Kind("PDF and office documents", "document")
PROGRAM = Kind("program files", "document")
DATABASE = Kind("databases, which are not read", "other")
ARCHIVE = Kind("archives", "archive", "give one of them as --data, or unpack them")
ARRAYS = Kind(
    "arrays or records, which are not read (NumPy, HDF5, TFRecord, pickle)",
    "other",
    "save each image as a PNG in the folder of its class",
)
MODEL = Kind("model files", "other", "a backbone is given with --models, its weights with --weights")
VIDEO = Kind("videos, which are not read", "other", "extract frames, for example: ffmpeg -i VIDEO FRAMES/%05d.jpg")
SOUND = Kind("sound files", "other")
VECTOR = Kind("vector drawings, which are not read", "picture", CONVERT)
RAW = Kind("camera raw images, which are not read", "picture", CONVERT)
SLIDE = Kind("whole-slide images, which are not read", "picture", "export tiles as JPEG or PNG")
DICOM = Kind("DICOM images, which are not read", "picture", CONVERT)
JXL = Kind("JPEG XL images, which Pillow does not read", "picture", CONVERT)
EXR = Kind("OpenEXR or Radiance images, which are not read", "picture", CONVERT)
EMPTY = Kind("empty files", "other")
CLOSED = Kind("files that cannot be opened", "picture")

ENDINGS: dict[str, Kind] = {
    ending: kind
    for kind, endings in {
        TEXT: "txt md rst log tex yaml yml toml ini cfg conf md5 sha1 sha256",
        TABLE: "csv tsv tab psv",
        JSON: "json jsonl ndjson geojson",
        XML: "xml xsd",
        HTML: "html htm css",
        PARQUET: "parquet arrow feather",
        SHEET: "xlsx xls ods",
        OFFICE: "pdf doc docx ppt pptx odt rtf",
        PROGRAM: "py pyc ipynb sh bat m r cpp c h js java lua",
        DATABASE: "db sqlite sqlite3",
        ARCHIVE: "zip tar gz tgz bz2 tbz2 xz txz zst 7z rar lz4",
        ARRAYS: "npy npz mat h5 hdf5 hdf pkl pickle tfrecord tfrecords mdb lmdb",
        MODEL: "pt pth onnx safetensors",
        VIDEO: "mp4 avi mov mkv webm mpg mpeg wmv m4v 3gp",
        SOUND: "wav mp3 flac ogg",
        VECTOR: "svg svgz eps ps ai wmf emf",
        RAW: "cr2 cr3 crw nef nrw arw dng orf rw2 raf pef srw",
        SLIDE: "svs ndpi scn mrxs czi lif vsi",
        DICOM: "dcm dicom",
        JXL: "jxl",
        EXR: "exr hdr",
    }.items()
    for ending in endings.split()
}
"""Endings that say enough. TIFF is the container of raw photographs and of slides: only the ending tells."""

_POINTER = b"version https://git-lfs.github.com/spec/"
_FIRST: tuple[tuple[bytes, Kind], ...] = (
    (b"\xff\xd8\xff", IMAGE),
    (b"\x89PNG\r\n\x1a\n", IMAGE),
    (b"GIF87a", IMAGE),
    (b"GIF89a", IMAGE),
    (b"II*\0", IMAGE),
    (b"MM\0*", IMAGE),
    (b"II+\0", IMAGE),
    (b"MM\0+", IMAGE),
    (b"\0\0\0\x0cjP  \r\n\x87\n", IMAGE),
    (b"\xff\x4f\xff\x51", IMAGE),
    (b"8BPS", IMAGE),
    (b"DDS ", IMAGE),
    (b"qoif", IMAGE),
    (b"icns", IMAGE),
    (b"/* XPM */", IMAGE),
    (b"SIMPLE  =", IMAGE),
    (b"\xff\x0a", JXL),
    (b"\0\0\0\x0cJXL ", JXL),
    (b"\x76\x2f\x31\x01", EXR),
    (b"#?RADIANCE", EXR),
    (b"%!PS", VECTOR),
    (b"%PDF", OFFICE),
    (b"PK\x03\x04", ARCHIVE),
    (b"PK\x05\x06", ARCHIVE),
    (b"\x1f\x8b", ARCHIVE),
    (b"\xfd7zXZ\0", ARCHIVE),
    (b"\x28\xb5\x2f\xfd", ARCHIVE),
    (b"7z\xbc\xaf\x27\x1c", ARCHIVE),
    (b"Rar!\x1a\x07", ARCHIVE),
    (b"PAR1", PARQUET),
    (b"ARROW1", PARQUET),
    (b"\x89HDF\r\n\x1a\n", ARRAYS),
    (b"\x93NUMPY", ARRAYS),
    (b"SQLite format 3\0", DATABASE),
    (_POINTER, POINTER),
)
_BRANDS = {b"avif": IMAGE, b"avis": IMAGE} | dict.fromkeys((b"heic", b"heix", b"hevc", b"heim", b"heis", b"hevx"), HEIF)


def ending(name: str) -> str:
    """What stands after the last dot of a file's name, in lower case; empty where there is none."""
    return name.rpartition("/")[2].lstrip(".").rpartition(".")[2].lower() if "." in name.rpartition("/")[2][1:] else ""


def kind(name: str, head: Callable[[], bytes]) -> Kind:
    """What the file ``name`` is; ``head`` gives its first bytes, and is asked only where the ending is not enough."""
    last = ending(name)
    if last in IMAGES:
        return IMAGE
    if known := ENDINGS.get(last):
        return known
    try:
        found = of_head(head())
    except OSError:
        return CLOSED
    return found or Kind(f"files of unknown kind (.{last})" if last else "files of unknown kind", "other")


def of_head(head: bytes) -> Kind | None:
    """What begins with these bytes; None where that is not known."""
    if not head:
        return EMPTY
    for signature, found in _FIRST:
        if head.startswith(signature):
            return found
    if head[4:8] == b"ftyp":
        return _of_brands(head)
    if head[:4] == b"RIFF":
        return {b"WEBP": IMAGE, b"AVI ": VIDEO, b"WAVE": SOUND}.get(head[8:12])
    if head[:2] == b"BM" and head[14:18] in (b"\x0c\0\0\0", b"\x28\0\0\0", b"\x6c\0\0\0", b"\x7c\0\0\0"):
        return IMAGE
    if re.match(rb"P([1-6]|[fF])\s", head):
        return IMAGE
    if re.match(
        rb"\x0a[\x00\x02\x03\x05]\x01[\x01\x02\x04\x08]|\x01\xda[\x00\x01][\x01\x02]|\0\0[\x01\x02]\0[^\0]\0", head
    ):
        return IMAGE  # PCX, SGI, ICO and CUR
    if head[128:132] == b"DICM":
        return DICOM
    if head[257:262] == b"ustar" or re.match(rb"BZh[1-9]1AY&SY", head):
        return ARCHIVE
    return _of_text(head)


def _of_brands(head: bytes) -> Kind:
    """Of an ISO media file: its brands tell AVIF from HEIC and from videos."""
    size = min(int.from_bytes(head[:4], "big"), len(head))
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, size - 3, 4))]
    found = [_BRANDS[brand] for brand in brands if brand in _BRANDS]
    return found[0] if found else HEIF if head[8:12] in (b"mif1", b"msf1") else VIDEO


def _of_text(head: bytes) -> Kind | None:
    if b"\0" in head and not head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return None
    if re.search(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]", head) and not head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return None
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:200].lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return HTML
    if start.startswith(b"<svg") or (start.startswith(b"<?xml") and b"<svg" in head.lower()):
        return VECTOR
    if start.startswith((b"<?xml", b"<annotation")):
        return XML
    if re.match(rb"[{\[]\s*[\"{\[\]}]", start):
        return JSON
    try:
        head[: -3 if len(head) >= HEAD else None].decode("utf-8")
    except UnicodeDecodeError:
        return None
    return TEXT


def is_pointer(head: bytes) -> bool:
    """Whether a file is a Git LFS pointer: a few lines that stand for a file that was not fetched."""
    return head.startswith(_POINTER)

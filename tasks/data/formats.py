"""What a file is: an image that Pillow reads, or what else, in words. By its ending where that is enough, else by its
first bytes.

A file with the ending of an image is taken for one without a look: opening each of 60,000 files would cost more than
listing them, and what does not decode is found by the index. Only unknown and missing endings are looked into.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from export.filetype import FileType, filetype

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

_KINDS: dict[FileType, Kind] = {
    found: kind
    for kind, of_kind in {
        IMAGE: (FileType.JPEG, FileType.PNG, FileType.GIF, FileType.BMP, FileType.TIFF, FileType.WEBP, FileType.AVIF)
        + (FileType.JPEG_2000, FileType.PSD, FileType.FITS, FileType.OTHER_IMAGE),
        HEIF: (FileType.HEIC,),
        JXL: (FileType.JPEG_XL,),
        EXR: (FileType.EXR, FileType.RADIANCE),
        RAW: (FileType.RAW,),
        DICOM: (FileType.DICOM,),
        VECTOR: (FileType.SVG, FileType.POSTSCRIPT, FileType.METAFILE),
        OFFICE: (FileType.PDF,),
        ARCHIVE: (FileType.ZIP, FileType.GZIP, FileType.XZ, FileType.BZIP2, FileType.ZSTANDARD)
        + (FileType.SEVEN_ZIP, FileType.RAR, FileType.TAR),
        PARQUET: (FileType.PARQUET, FileType.ARROW),
        ARRAYS: (FileType.NUMPY, FileType.HDF5),
        DATABASE: (FileType.SQLITE,),
        VIDEO: (FileType.MP4, FileType.AVI, FileType.MATROSKA, FileType.MPEG),
        SOUND: (FileType.WAVE,),
        POINTER: (FileType.LFS,),
        EMPTY: (FileType.EMPTY,),
        HTML: (FileType.HTML,),
        XML: (FileType.XML,),
        JSON: (FileType.JSON,),
        TEXT: (FileType.TEXT, FileType.ANNEX),
    }.items()
    for found in of_kind
}


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
    found = filetype(head)
    return _KINDS.get(found) if found else None

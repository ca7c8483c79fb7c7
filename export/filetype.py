"""What a file is that is no image that is read here, by its first bytes: so that a message can name it.

A file's ending says what somebody hoped; its first bytes say what came.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass


@dataclass(frozen=True)
class FileType:
    """``what`` follows "It is"; ``remedy`` is an action, and may be empty."""

    what: str
    remedy: str = ""


_AGAIN = "download it again, logged in"
_CONVERT = "convert it to PNG or JPEG"
_VIDEO = "take still images out of it (ffmpeg -i FILE %06d.png)"
_DEVELOP = "develop it to PNG, JPEG or 16-bit TIFF with a raw converter"
_UNPACK = "unpack it"

LFS = FileType("a Git LFS pointer, not the file itself", "git lfs pull")
HTML = FileType("an HTML page, such as a log-in or an error page", _AGAIN)
HEIC = FileType("a HEIC photograph, which Pillow does not read", "convert it to JPEG (heif-convert)")
RAW = FileType("a camera's raw file: what opens without a raw converter is a preview", _DEVELOP)

_AT_START: tuple[tuple[bytes, FileType], ...] = (
    (b"version https://git-lfs.github.com/", LFS),
    (b"/annex/objects/", FileType("a git-annex pointer, not the file itself", "git annex get")),
    (b"%PDF-", FileType("a PDF document", "take its images out (pdfimages -all)")),
    (b"%!PS", FileType("PostScript, a program that draws", "render it to PNG")),
    (b"\xc5\xd0\xd3\xc6", FileType("EPS, a program that draws", "render it to PNG")),
    (b"\xd7\xcd\xc6\x9a", FileType("a Windows metafile, a program that draws", "render it to PNG")),
    (b"PK\x03\x04", FileType("a zip archive", _UNPACK)),
    (b"\x1f\x8b", FileType("gzip data", _UNPACK)),
    (b"BZh", FileType("bzip2 data", _UNPACK)),
    (b"\xfd7zXZ\x00", FileType("xz data", _UNPACK)),
    (b"\x28\xb5\x2f\xfd", FileType("zstandard data", _UNPACK)),
    (b"7z\xbc\xaf\x27\x1c", FileType("a 7z archive", _UNPACK)),
    (b"Rar!\x1a\x07", FileType("a RAR archive", _UNPACK)),
    (b"\x93NUMPY", FileType("a NumPy array", "save it as PNG")),
    (b"\x89HDF\r\n\x1a\n", FileType("an HDF5 file", "save its images as PNG")),
    (b"MATLAB 5.0", FileType("a MATLAB file", "save its images as PNG")),
    (b"SIMPLE  =", FileType("a FITS file, whose values have no fixed range", "scale it to 8 bits")),
    (b"v/1\x01", FileType("an OpenEXR picture, whose values have no fixed range", "tone-map it to 8 bits")),
    (b"#?RADIANCE", FileType("a Radiance HDR picture, whose values have no fixed range", "tone-map it to 8 bits")),
    (b"\xff\x0a", FileType("a JPEG XL picture, which Pillow does not read", _CONVERT)),
    (b"\0\0\0\x0cJXL ", FileType("a JPEG XL picture, which Pillow does not read", _CONVERT)),
    (b"II\xbc\x01", FileType("a JPEG XR picture, which Pillow does not read", _CONVERT)),
    (b"gimp xcf", FileType("a GIMP drawing", _CONVERT)),
    (b"AT&TFORM", FileType("a DjVu document", _CONVERT)),
    (b"IIRO", RAW),
    (b"IIRS", RAW),
    (b"MMOR", RAW),
    (b"IIU\0", RAW),
    (b"FUJIFILMCCD-RAW", RAW),
    (b"FOVb", RAW),
    (b"\0MRM", RAW),
    (b"\x1aE\xdf\xa3", FileType("a video (Matroska, WebM)", _VIDEO)),
    (b"\0\0\x01\xba", FileType("a video (MPEG)", _VIDEO)),
    (b"\0\0\x01\xb3", FileType("a video (MPEG)", _VIDEO)),
    (b"\0\x05\x16\x07", FileType("macOS's notes about a file (AppleDouble), not the file", "delete it")),
    (b"\xd0\xcf\x11\xe0", FileType("an OLE file (a Windows thumbnail cache, an Office document)", "delete it")),
    (b"GRIB", FileType("a GRIB file of weather data", "save its fields as PNG")),
    (b"BUFR", FileType("a BUFR file of weather data")),
)
_BRANDS: dict[bytes, FileType] = {
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"), HEIC),
    **dict.fromkeys((b"avif", b"avis"), FileType("an AVIF picture that is damaged, or that this Pillow cannot read")),
    b"crx ": RAW,
}
_READABLE: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8", "JPEG"),
    (b"\x89PNG", "PNG"),
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"8BPS", "PSD"),
)


def filetype(content: bytes) -> FileType:
    """What a file is, of which no decoder would have its first bytes."""
    if not content:
        return FileType("empty: a file of 0 bytes", _AGAIN)
    for start, found in _AT_START:
        if content.startswith(start):
            return found
    if content[4:8] == b"ftyp":
        return _isobmff(content)
    if content.startswith(b"RIFF"):
        if content[8:12] == b"WEBP":
            return _unread("WebP")
        return FileType(f"a RIFF file of type {content[8:12].decode('ascii', 'replace').strip()}")
    if content[128:132] == b"DICM":
        return FileType("a DICOM file", "export its pixels as PNG, windowed as a reader would see them")
    if content[40:44] == b" EMF":
        return FileType("a Windows metafile, a program that draws", "render it to PNG")
    for start, name in _READABLE:
        if content.startswith(start):
            return _unread(name)
    if not content.strip(b"\0"):
        return FileType("nothing but zero bytes: a download or a copy that did not finish", _AGAIN)
    return _text(content) or FileType("not an image, or of no format that is read here")


def _unread(name: str) -> FileType:
    return FileType(f"a {name} file that is damaged, or of a kind that Pillow does not read", _CONVERT)


def _isobmff(content: bytes) -> FileType:
    """By the brands in the first box of an ISO base media file; the main one comes first."""
    size = int.from_bytes(content[:4], "big")
    brands = [content[8:12], *(content[at : at + 4] for at in range(16, min(size, 256, len(content)), 4))]
    if {b"avif", b"avis"} & set(brands):
        return _BRANDS[b"avif"]
    for brand in brands:
        if brand in _BRANDS:
            return _BRANDS[brand]
    return FileType("a video (MP4, QuickTime)", _VIDEO)


def _text(content: bytes) -> FileType | None:
    encoding = "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        head = codecs.getincrementaldecoder(encoding)().decode(content[:512]).lstrip().lower()
    except UnicodeDecodeError:
        return None
    if any(letter < " " and letter not in "\t\n\r\f\x1b" for letter in head):
        return None
    if head.startswith(("<!doctype html", "<html", "<head", "<body", "<script")):
        return HTML
    if "<svg" in head:
        return FileType("an SVG drawing", "render it to PNG")
    if head.startswith("<"):
        return HTML if "<html" in head else FileType("an XML document, such as a storage service's error", _AGAIN)
    if head.startswith(("{", "[")):
        return FileType("a JSON document, such as a service's error", _AGAIN)
    return FileType("text, not an image")

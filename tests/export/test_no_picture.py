from __future__ import annotations

import io
import zipfile

import pytest

from export.no_picture import words
from export.picture import Undecodable, decode


def box(*brands: bytes) -> bytes:
    size = 8 + 4 * (len(brands) + 1)
    return size.to_bytes(4, "big") + b"ftyp" + brands[0] + b"\0\0\0\0" + b"".join(brands[1:]) + bytes(64)


def archive() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("a", b"b")
    return out.getvalue()


CASES: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "empty"),
    "zeros": (bytes(5000), "zero bytes"),
    "LFS": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", "Git LFS pointer"),
    "annex": (b"/annex/objects/SHA256E-s1--0.jpg\n", "git-annex"),
    "HTML": (b"\xef\xbb\xbf\r\n<!DOCTYPE html><html>", "HTML page"),
    "HTML in UTF-16": ("<html><body>".encode("utf-16"), "HTML page"),
    "storage": (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "XML document"),
    "SVG": (b'<?xml version="1.0"?>\n<svg xmlns="x"/>', "SVG drawing"),
    "JSON": (b'{"message": "Not Found"}', "JSON"),
    "text": ("naïve text".encode(), "text, not an image"),
    "PDF": (b"%PDF-1.7\n", "PDF"),
    "EPS": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "PostScript"),
    "WMF": (b"\xd7\xcd\xc6\x9a\0\0" + bytes(40), "metafile"),
    "EMF": (b"\1\0\0\0" + bytes(36) + b" EMF" + bytes(60), "metafile"),
    "HEIC": (box(b"heic", b"mif1", b"heic"), "HEIC"),
    "HEIF": (box(b"mif1", b"mif1", b"heic"), "HEIC"),
    "damaged AVIF": (box(b"avif", b"mif1", b"avif"), "AVIF"),
    "video": (box(b"isom", b"avc1"), "a video"),
    "WebM": (b"\x1aE\xdf\xa3" + bytes(30), "a video"),
    "AVI": (b"RIFF\x10\0\0\0AVI LIST", "RIFF file of type AVI"),
    "CR3": (box(b"crx ", b"isom"), "raw file"),
    "CR2": (b"II*\0\x10\0\0\0CR\2\0" + bytes(40), "TIFF|raw"),
    "RAF": (b"FUJIFILMCCD-RAW 0201", "raw file"),
    "DICOM": (bytes(128) + b"DICM" + bytes(60), "DICOM"),
    "JPEG XL": (b"\xff\x0a" + bytes(30), "JPEG XL"),
    "FITS": (b"SIMPLE  =                    T", "FITS"),
    "EXR": (b"v/1\1\2\0\0\0", "OpenEXR"),
    "NumPy": (b"\x93NUMPY\1\0", "NumPy array"),
    "HDF5": (b"\x89HDF\r\n\x1a\n" + bytes(30), "HDF5"),
    "zip": (archive(), "zip archive"),
    "gzip": (b"\x1f\x8b\x08" + bytes(20), "gzip"),
    "notes": (b"\0\5\x16\7" + bytes(30), "AppleDouble"),
    "cache": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "OLE"),
    "half a JPEG": (b"\xff\xd8\xff\xe0" + bytes(20), "a JPEG file that is damaged"),
    "half a WebP": (b"RIFF\x10\0\0\0WEBPVP8 ", "a WebP file that is damaged"),
    "noise": (bytes(range(200, 256)) * 4, "no format that is read here"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_message_says_what_came(name: str) -> None:
    content, what = CASES[name]
    with pytest.raises(Undecodable, match=what) as refused:
        decode(content)
    assert words(content).what in refused.value.why or name == "CR2"

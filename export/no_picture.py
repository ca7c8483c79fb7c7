"""What to say of a file that is no picture which is read here, and what its owner can do."""

from __future__ import annotations

from dataclasses import dataclass

from export.filetype import FileType, filetype


@dataclass(frozen=True)
class Words:
    """``what`` follows "It is"; ``remedy`` is an action, and may be empty."""

    what: str
    remedy: str = ""


_AGAIN = "download it again, logged in"
_CONVERT = "convert it to PNG or JPEG"
_VIDEO = "take still images out of it (ffmpeg -i FILE %06d.png)"
_RENDER = "render it to PNG"
_PIXELS = "save its images as PNG"
_TONES = "tone-map it to 8 bits"
_UNPACK = "unpack it"

RAW = Words(
    "a camera's raw file: what opens without a raw converter is a preview",
    "develop it to PNG, JPEG or 16-bit TIFF with a raw converter",
)
UNKNOWN = Words("not an image, or of no format that is read here")
_WORDS: dict[FileType, Words] = {
    FileType.EMPTY: Words("empty: a file of 0 bytes", _AGAIN),
    FileType.ZEROS: Words("nothing but zero bytes: a download or a copy that did not finish", _AGAIN),
    FileType.LFS: Words("a Git LFS pointer, not the file itself", "git lfs pull"),
    FileType.ANNEX: Words("a git-annex pointer, not the file itself", "git annex get"),
    FileType.HTML: Words("an HTML page, such as a log-in or an error page", _AGAIN),
    FileType.XML: Words("an XML document, such as a storage service's error", _AGAIN),
    FileType.SVG: Words("an SVG drawing", _RENDER),
    FileType.JSON: Words("a JSON document, such as a service's error", _AGAIN),
    FileType.TEXT: Words("text, not an image"),
    FileType.PDF: Words("a PDF document", "take its images out (pdfimages -all)"),
    FileType.POSTSCRIPT: Words("PostScript, a program that draws", _RENDER),
    FileType.METAFILE: Words("a Windows metafile, a program that draws", _RENDER),
    FileType.ZIP: Words("a zip archive", _UNPACK),
    FileType.GZIP: Words("gzip data", _UNPACK),
    FileType.BZIP2: Words("bzip2 data", _UNPACK),
    FileType.XZ: Words("xz data", _UNPACK),
    FileType.ZSTANDARD: Words("zstandard data", _UNPACK),
    FileType.SEVEN_ZIP: Words("a 7z archive", _UNPACK),
    FileType.RAR: Words("a RAR archive", _UNPACK),
    FileType.TAR: Words("a tar archive", _UNPACK),
    FileType.NUMPY: Words("a NumPy array", "save it as PNG"),
    FileType.HDF5: Words("an HDF5 file", _PIXELS),
    FileType.MATLAB: Words("a MATLAB file", _PIXELS),
    FileType.FITS: Words("a FITS file, whose values have no fixed range", "scale it to 8 bits"),
    FileType.EXR: Words("an OpenEXR picture, whose values have no fixed range", _TONES),
    FileType.RADIANCE: Words("a Radiance HDR picture, whose values have no fixed range", _TONES),
    FileType.HEIC: Words("a HEIC photograph, which Pillow does not read", "convert it to JPEG (heif-convert)"),
    FileType.AVIF: Words("an AVIF picture that is damaged, or that this Pillow cannot read"),
    FileType.JPEG_XL: Words("a JPEG XL picture, which Pillow does not read", _CONVERT),
    FileType.JPEG_XR: Words("a JPEG XR picture, which Pillow does not read", _CONVERT),
    FileType.GIMP: Words("a GIMP drawing", _CONVERT),
    FileType.DJVU: Words("a DjVu document", _CONVERT),
    FileType.RAW: RAW,
    FileType.DICOM: Words("a DICOM file", "export its pixels as PNG, windowed as a reader would see them"),
    FileType.MATROSKA: Words("a video (Matroska, WebM)", _VIDEO),
    FileType.MPEG: Words("a video (MPEG)", _VIDEO),
    FileType.MP4: Words("a video (MP4, QuickTime)", _VIDEO),
    FileType.AVI: Words("a RIFF file of type AVI", _VIDEO),
    FileType.WAVE: Words("a RIFF file of type WAVE"),
    FileType.RIFF: Words("a RIFF file of an unknown type"),
    FileType.APPLE_DOUBLE: Words("macOS's notes about a file (AppleDouble), not the file", "delete it"),
    FileType.OLE: Words("an OLE file (a Windows thumbnail cache, an Office document)", "delete it"),
    FileType.GRIB: Words("a GRIB file of weather data", "save its fields as PNG"),
    FileType.BUFR: Words("a BUFR file of weather data"),
    **{
        found: Words(f"a {name} file that is damaged, or of a kind that Pillow does not read", _CONVERT)
        for found, name in {
            FileType.JPEG: "JPEG",
            FileType.PNG: "PNG",
            FileType.GIF: "GIF",
            FileType.BMP: "BMP",
            FileType.TIFF: "TIFF",
            FileType.WEBP: "WebP",
            FileType.JPEG_2000: "JPEG 2000",
            FileType.PSD: "PSD",
        }.items()
    },
}


def words(content: bytes) -> Words:
    """Of a file that no decoder would have."""
    found = filetype(content)
    return _WORDS.get(found, UNKNOWN) if found else UNKNOWN

"""What a file is, by its content and never by its ending, and what to do with one that is no checkpoint.

Imports no framework: the first bytes say it, and for an archive the names of its members.
"""

from __future__ import annotations

import json
import stat
import zipfile
from dataclasses import dataclass
from pathlib import Path

from export.errors import UserError

_HEAD = 4096
_LEGACY = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19"
"""The magic number with which torch.save began its files before it made archives."""
_READ_AS_ROW = "name it in a row of your own zoo file with the reader that fits (docs/backbones.md)"
_UNPACK = "unpack it, and name the checkpoint inside"
_EXPORT = "load it where it was made, and save its state_dict()"


@dataclass(frozen=True)
class Format:
    """A kind of file.

    Attributes:
        words: what it is, with its article.
        remedy: what to do with it where it is not what was asked for.
    """

    words: str
    remedy: str = ""


SAFETENSORS = Format("a safetensors file")
TORCH = Format("a file of torch.save")
LEGACY = Format("a file of torch.save before PyTorch 1.6")
HDF5 = Format("an HDF5 file, as Keras writes it", f"for Keras weights: reader: keras_in_order; {_READ_AS_ROW}")
ONNX = Format("an ONNX file", "give it as a model: --models FILE.onnx")
GRAPHDEF = Format(
    "a frozen TensorFlow graph", f"for Google's MobileNetV1: reader: tensorflow_mobilenetv1; {_READ_AS_ROW}"
)

_TORCHSCRIPT = Format(
    "TorchScript, a program with its weights",
    "torch.save(torch.jit.load(FILE).state_dict(), 'weights.pth'), where you trust it",
)
_COMPRESSED = (
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\x00", "an xz archive"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
)
_OTHERS = (
    (0, b"\x93NUMPY", Format("a NumPy array (.npy)", _EXPORT)),
    (0, b"GGUF", Format("a GGUF file of quantised weights", "use the checkpoint that it was made from")),
    (4, b"TFL3", Format("a TensorFlow Lite model", "use the checkpoint that it was made from")),
    (4, b"ET12", Format("an ExecuTorch program", "use the checkpoint that it was made from")),
    (0, b"ftrt", Format("a TensorRT plan", "use the checkpoint that it was made from")),
    (0, b"\x89PNG", Format("a PNG image")),
    (0, b"\xff\xd8\xff", Format("a JPEG image")),
    (0, b"%PDF", Format("a PDF document")),
)


def of(path: Path) -> Format:
    """What the file is.

    Raises:
        UserError: it is not there, no file, cannot be read, or is empty.
    """
    require_file(path)
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
            size = path.stat().st_size
            file.seek(max(0, size - 8))
            tail = file.read(8)
    except OSError as error:
        raise UserError(f"The file {path} cannot be read.", error.strerror or str(error)) from error
    if not size:
        raise UserError(f"The checkpoint {path.name} is damaged or truncated.", "It is empty.", "download it again")
    return _by_head(path, head, tail, size)


def require_file(path: Path) -> None:
    """Refuse what is no regular file, and say what it is.

    Raises:
        UserError: nothing is there, a link leads nowhere, or it is a folder or a device.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        if path.is_symlink():
            raise UserError(f"The link {path} leads to a file that does not exist.", f"{path.readlink()}") from None
        raise UserError(f"The file {path} does not exist.") from None
    except (OSError, ValueError) as error:
        raise UserError(f"The file {path} cannot be read.", str(error)) from error
    if stat.S_ISDIR(mode):
        raise UserError(f"{path} is a folder, not a file.", _folder(path), "name one file")
    if not stat.S_ISREG(mode):
        raise UserError(f"{path} is not a regular file.", "It is a device or a pipe.")


def refusal(path: Path, found: Format, wanted: str) -> UserError:
    """An error for a file that is another thing than what is read here."""
    return UserError(f"{path.name} is {found.words}, and not {wanted}.", "", found.remedy)


def expect(path: Path, wanted: Format) -> None:
    """Refuse a file that is of another format.

    Raises:
        UserError: it is; or as :func:`of`.
    """
    found = of(path)
    if found != wanted:
        raise refusal(path, found, wanted.words)


def _folder(path: Path) -> str:
    """What a folder holds, in a sentence."""
    try:
        names = sorted(child.name for child in path.iterdir())
    except OSError as error:
        return str(error)
    if "saved_model.pb" in names:
        return "It is a SavedModel of TensorFlow, which is not read."
    if ".metadata" in names or any(name.endswith(".distcp") for name in names):
        return "It is a distributed checkpoint of PyTorch (torch.distributed.checkpoint), which is not read."
    shown = f"{', '.join(names[:5])}{', …' if len(names) > 5 else ''}"
    return f"It holds {shown}." if names else "It is empty."


def _by_head(path: Path, head: bytes, tail: bytes, size: int) -> Format:
    if head.startswith(b"version https://git-lfs"):
        return Format("a Git LFS pointer: the file itself was not downloaded", f"git lfs pull --include {path.name}")
    if head[:4] in (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08"):
        return _zip(path)
    if size >= 10 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 100_000_000:
        return SAFETENSORS
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return HDF5
    if head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05":
        plain = Format("a plain pickle, not a file of torch.save", _EXPORT)
        return LEGACY if _LEGACY in head[:32] else plain
    if head[257:262] == b"ustar":
        return Format("a tar archive", _UNPACK)
    for magic, words in _COMPRESSED:
        if head.startswith(magic):
            return Format(words, _UNPACK)
    for start, magic, kind in _OTHERS:
        if head[start:].startswith(magic):
            return kind
    if tail == b"\x57\xfb\x80\x8b\x24\x75\x47\xdb" or ".data-0" in path.name:
        return Format("part of a TensorFlow checkpoint, which is not read", "export the network to ONNX")
    return _text(head) or _protocol_buffer(path, head) or _unknown(head)


def _zip(path: Path) -> Format:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise UserError(
            f"The checkpoint {path.name} is damaged or truncated.", f"{error}.".replace("..", "."), "download it again"
        ) from error
    inside = {name.partition("/")[2] for name in names}
    if "data.pkl" in inside or "data.pkl" in names:
        scripted = "constants.pkl" in inside or any(name.startswith("code/") for name in inside)
        return _TORCHSCRIPT if scripted else TORCH
    if any(name.endswith("serialized_exported_program.json") for name in names) or "archive_format" in inside:
        return Format("a program of torch.export", _EXPORT)
    if any(name.startswith(".data/") for name in inside):
        return Format("a package of torch.package", _EXPORT)
    if "model.weights.h5" in names:
        return Format("a Keras 3 model (.keras)", "export the network to ONNX")
    if names and all(name.endswith(".npy") for name in names):
        return Format(
            f"a NumPy archive (.npz) of {len(names)} arrays", "load it into its network, and save its state_dict()"
        )
    files = [name for name in names if not name.endswith("/")]
    shown = f"{', '.join(files[:3])}{', …' if len(files) > 3 else ''}" if files else "nothing"
    return Format(f"a zip archive with {shown}", _UNPACK)


def _text(head: bytes) -> Format | None:
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    lower = start[:200].lower()
    if lower.startswith((b"<!doctype html", b"<html", b"<head", b"<body", b"<!--")):
        return Format("a web page, such as a log-in page or an error", "download the file itself, signed in if need be")
    if lower.startswith(b"<?xml"):
        return Format("an XML document", "download the file itself, signed in if need be")
    if start.startswith(b"model_checkpoint_path:"):
        return Format("the list of a TensorFlow checkpoint's files, which are not read", "export the network to ONNX")
    if start.startswith(b"{"):
        return _json(head)
    try:
        text = head[:-4].decode() if len(head) == _HEAD else head.decode()
    except UnicodeDecodeError:
        return None
    if not text.isprintable() and any(not c.isprintable() and not c.isspace() for c in text):
        return None
    return Format(f"a text that begins {text.strip()[:40]!r}", "download the file itself, signed in if need be")


def _json(head: bytes) -> Format:
    if b'"weight_map"' in head:
        return Format(
            "the index of a checkpoint in several parts, which are not read together",
            "load the parts where they were made, and save one safetensors file",
        )
    try:
        json.loads(head)
    except ValueError:
        if len(head) < _HEAD:
            return Format("a damaged JSON document")
    return Format("a JSON document", "name the file with the weights")


def _protocol_buffer(path: Path, head: bytes) -> Format | None:
    """ONNX and TensorFlow files have no magic bytes: the first fields of each are known."""
    if head[:1] == b"\x0a":
        from export.zoo.graphdef import constants

        try:
            return GRAPHDEF if constants(path.read_bytes()) else None
        except (UserError, AssertionError, UnicodeDecodeError, OSError):
            return None
    if head[:1] != b"\x08":
        return None
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load(path, load_external_data=False)
    except (DecodeError, OSError, ValueError):
        model = None
    if model is not None and model.graph.node:
        return ONNX
    if head[:3] == b"\x08\x01\x12":
        return Format("a SavedModel of TensorFlow, which is not read", "export the network to ONNX")
    return None


def _unknown(head: bytes) -> Format:
    return Format(f"of no known format (its first bytes are {head[:8].hex(' ')})", "check what the file is")

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
from export.filetype import HEAD, FileType, filetype

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
DIFFUSERS = Format("a folder of diffusers'", "for Stable Diffusion 1: --models stable_diffusion_1_4")
_PARTS = (
    "text_encoder/model.safetensors",
    "unet/diffusion_pytorch_model.safetensors",
    "vae/diffusion_pytorch_model.safetensors",
)
"""What is read of a folder of diffusers'."""

_TORCHSCRIPT = Format(
    "TorchScript, a program with its weights",
    "torch.save(torch.jit.load(FILE).state_dict(), 'weights.pth'), where you trust it",
)
_MADE_FROM = "use the checkpoint that it was made from"
_SIGNED_IN = "download the file itself, signed in if need be"
_FORMATS = {
    FileType.SAFETENSORS: SAFETENSORS,
    FileType.HDF5: HDF5,
    FileType.TAR: Format("a tar archive", _UNPACK),
    FileType.GZIP: Format("a gzip archive", _UNPACK),
    FileType.BZIP2: Format("a bzip2 archive", _UNPACK),
    FileType.XZ: Format("an xz archive", _UNPACK),
    FileType.ZSTANDARD: Format("a Zstandard archive", _UNPACK),
    FileType.SEVEN_ZIP: Format("a 7z archive", _UNPACK),
    FileType.RAR: Format("a RAR archive", _UNPACK),
    FileType.NUMPY: Format("a NumPy array (.npy)", _EXPORT),
    FileType.GGUF: Format("a GGUF file of quantised weights", _MADE_FROM),
    FileType.TFLITE: Format("a TensorFlow Lite model", _MADE_FROM),
    FileType.EXECUTORCH: Format("an ExecuTorch program", _MADE_FROM),
    FileType.TENSORRT: Format("a TensorRT plan", _MADE_FROM),
    FileType.PNG: Format("a PNG image"),
    FileType.JPEG: Format("a JPEG image"),
    FileType.PDF: Format("a PDF document"),
    FileType.HTML: Format("a web page, such as a log-in page or an error", _SIGNED_IN),
    FileType.XML: Format("an XML document", _SIGNED_IN),
}


def of(path: Path) -> Format:
    """What the file is.

    Raises:
        UserError: it is not there, no file, cannot be read, or is empty.
    """
    require_file(path)
    if path.is_dir():
        return DIFFUSERS
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
            size = path.stat().st_size
            file.seek(max(0, size - 8))
            tail = file.read(8)
    except OSError as error:
        raise UserError(f"The file {path} cannot be read.", error.strerror or str(error)) from error
    if not size:
        raise UserError(f"The checkpoint {path.name} is damaged or truncated.", "It is empty.", "download it again")
    return _by_head(path, head, tail)


def require_file(path: Path) -> None:
    """Refuse what is neither a regular file nor a folder of diffusers', and say what it is.

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
        if parts(path):
            return
        raise UserError(f"{path} is a folder, not a file.", _folder(path), "name one file")
    if not stat.S_ISREG(mode):
        raise UserError(f"{path} is not a regular file.", "It is a device or a pipe.")


def parts(folder: Path) -> list[Path]:
    """The files of a folder of diffusers' that are read, in a fixed order, as far as they are there."""
    return [folder / part for part in _PARTS if (folder / part).is_file()]


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


def _by_head(path: Path, head: bytes, tail: bytes) -> Format:
    found = filetype(head)
    if found is FileType.LFS:
        return Format("a Git LFS pointer: the file itself was not downloaded", f"git lfs pull --include {path.name}")
    if found is FileType.ZIP:
        return _zip(path)
    if found is FileType.PICKLE:
        return LEGACY if _LEGACY in head[:32] else Format("a plain pickle, not a file of torch.save", _EXPORT)
    if found in _FORMATS:
        return _FORMATS[found]
    if tail == b"\x57\xfb\x80\x8b\x24\x75\x47\xdb" or ".data-0" in path.name:
        return Format("part of a TensorFlow checkpoint, which is not read", "export the network to ONNX")
    if found is FileType.JSON:
        return _json(head)
    if found is FileType.TEXT:
        return _text(head)
    return _protocol_buffer(path, head) or _unknown(head)


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


def _text(head: bytes) -> Format:
    text = head.removeprefix(b"\xef\xbb\xbf").decode(errors="replace").strip()
    if text.startswith("model_checkpoint_path:"):
        return Format("the list of a TensorFlow checkpoint's files, which are not read", "export the network to ONNX")
    return Format(f"a text that begins {text[:40]!r}", _SIGNED_IN)


def _json(head: bytes) -> Format:
    if b'"weight_map"' in head:
        return Format(
            "the index of a checkpoint in several parts, which are not read together",
            "load the parts where they were made, and save one safetensors file",
        )
    try:
        json.loads(head)
    except ValueError:
        if len(head) < HEAD:
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

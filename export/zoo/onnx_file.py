"""An ONNX file as it lies on the disk: what it is if it is none, and its tensors, those in files beside it included.

Reading runs no code and opens nothing outside the file's folder.
"""

from __future__ import annotations

import zipfile
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

from export import external
from export.errors import UserError, first_line
from export.filetype import HEAD, FileType, filetype

if TYPE_CHECKING:
    import onnx

LARGEST = 2**31 - 1
"""Bytes that one protocol buffer holds."""
AGAIN = "copy or download it again"
CONVERT = "convert it to ONNX with its framework's own exporter"

_UNPACK = "unpack it"
_OTHERS: dict[FileType, tuple[str, str]] = {
    FileType.EMPTY: ("empty", AGAIN),
    FileType.LFS: ("a Git LFS pointer: the file itself was not fetched", "git lfs pull"),
    FileType.HDF5: ("an HDF5 file, such as Keras writes", CONVERT),
    FileType.TFLITE: ("a TensorFlow Lite model", CONVERT),
    FileType.ORT: ("a file in ONNX Runtime's own format (.ort)", "use the .onnx file that it was made from"),
    FileType.TENSORRT: ("a TensorRT engine", "use the .onnx file that it was built from"),
    FileType.GGUF: ("a GGUF file", CONVERT),
    FileType.GZIP: ("compressed (gzip)", _UNPACK),
    FileType.XZ: ("compressed (xz)", _UNPACK),
    FileType.BZIP2: ("compressed (bzip2)", _UNPACK),
    FileType.ZSTANDARD: ("compressed (zstd)", _UNPACK),
    FileType.SEVEN_ZIP: ("a 7-Zip archive", _UNPACK),
    FileType.RAR: ("a RAR archive", _UNPACK),
    FileType.TAR: ("a tar archive", _UNPACK),
    FileType.PICKLE: ("a Python pickle, such as older PyTorch checkpoints", "torch.onnx.export its module"),
    FileType.SAFETENSORS: ("a safetensors file: weights without a network", "bob export NAME --weights FILE"),
    FileType.HTML: ("a web page, often a log-in or error page that was saved in its place", AGAIN),
    FileType.XML: ("XML, such as OpenVINO's IR", "use the .onnx file that it was made from"),
    FileType.JSON: ("text", AGAIN),
    FileType.TEXT: ("text", AGAIN),
}
"""(what such a file is, what to do)."""


def read(file: Path) -> onnx.ModelProto:
    """The model in a file, with all its tensors in it; open (see ``export.external``) where one file cannot hold them.

    Raises:
        UserError: it cannot be read, is something else than ONNX (which is named), is damaged, or its external data is
            missing, too short or outside its folder.
    """
    model = parse(file)
    apart = [(tensor, *_span(file, tensor)) for tensor in external.external(model)]
    whole = file.stat().st_size + sum(length for *_, length in apart) <= external.LARGEST
    for tensor, found, offset, length in apart:
        external.point_to(tensor, found, offset, length)
        if whole or length < external.SMALL:
            tensor.CopyFrom(external.inline(tensor))
    external.gather(model)
    return model


def parse(file: Path) -> onnx.ModelProto:
    """The model in a file; tensors that lie in other files stay there.

    Raises:
        UserError: it cannot be read, is something else than ONNX (which is named), or is damaged.
    """
    import onnx
    from google.protobuf.message import DecodeError

    try:
        size = file.stat().st_size
        with file.open("rb") as opened:
            head = opened.read(HEAD)
        if found := _other(file, head, size):
            what, remedy = found
            raise UserError(f"{file.name} is not an ONNX file.", f"It is {what}.", remedy)
        raw = file.read_bytes()
    except OSError as error:
        raise UserError(f"{file.name} cannot be read.", error.strerror or str(error)) from error
    try:
        model: onnx.ModelProto = onnx.ModelProto.FromString(raw)
    except (DecodeError, ValueError) as error:
        raise UserError(f"{file.name} is not a valid ONNX file.", _line(error), AGAIN) from error
    if not model.graph.node:
        raise UserError(
            f"{file.name} is not an ONNX file.",
            "It holds no graph: it is cut short, or another protocol buffer (TensorFlow's .pb, Core ML's .mlmodel).",
            f"{AGAIN}, or {CONVERT}",
        )
    return model


def _line(error: BaseException) -> str:
    """protobuf's own words, or what they mean."""
    said = first_line(error)
    return "It is damaged or incomplete." if said.lower().startswith("error parsing") else said


def _other(file: Path, head: bytes, size: int) -> tuple[str, str] | None:
    """What a file is that cannot be ONNX, and what to do; None where it may be ONNX."""
    found = filetype(head)
    if found is FileType.ZIP:
        return _zipped(file)
    if found in _OTHERS:
        return _OTHERS[found]
    if size > LARGEST:
        return "larger than 2 GB, which no protocol buffer is", "save its weights as external data beside it"
    return None


def _zipped(file: Path) -> tuple[str, str]:
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError):
        return "a damaged ZIP archive", AGAIN
    if any(name.endswith("constants.pkl") for name in names):
        return "a TorchScript file", "torch.onnx.export the module that it was made from"
    if any(name.endswith("data.pkl") for name in names):
        return "a PyTorch checkpoint: weights without a network", "bob export NAME --weights FILE"
    if any(name.endswith((".mlmodel", "Manifest.json")) for name in names):
        return "a Core ML package", CONVERT
    inner = next((name for name in names if name.endswith(".onnx")), "")
    return f"a ZIP archive{f', which holds {inner}' if inner else ''}", "unpack it"


# -- tensors -----------------------------------------------------------------------------------------------------------


def place(file: Path, tensor: onnx.TensorProto) -> Path:
    """The file that holds an external tensor.

    Raises:
        UserError: it is not there, or not inside the folder of ``file`` once links are followed.
    """
    location = _entries(tensor).get("location", "")
    folder = file.parent.resolve()
    try:
        found = (folder / location.replace("\\", "/")).resolve()
        inside, there = found.is_relative_to(folder) and found != folder, found.is_file()
        link = " through a link" if (folder / location).is_symlink() else ""
    except (OSError, ValueError, RuntimeError):  # no path at all, or a link to itself
        inside, there, link = False, False, ""
    if not inside:
        raise UserError(
            f"{file.name} refers to weights outside its folder, and is refused.",
            f"{tensor.name or 'A tensor'} lies in {location[:200]!r}{link}.",
            "save it again with its external data beside it",
        )
    if not there:
        raise UserError(
            f"Part of the weights of {file.name} is missing.",
            f"{tensor.name or 'A tensor'} lies in {location!r}, and there is no such file beside it.",
            f"copy {location} into {folder.name}/ too",
        )
    return found


def _entries(tensor: onnx.TensorProto) -> dict[str, str]:
    return {entry.key: entry.value for entry in tensor.external_data}


def _span(file: Path, tensor: onnx.TensorProto) -> tuple[Path, int, int]:
    """(file, offset, length) of an external tensor."""
    entries = _entries(tensor)
    found = place(file, tensor)
    there = found.stat().st_size
    try:
        offset, length = int(entries.get("offset", 0)), int(entries.get("length", -1))
    except ValueError:
        offset, length = -1, 0
    if length < 0:
        length = there - offset
    bits = _bits(tensor)
    wanted = -(-bits * prod(tensor.dims) // 8) if bits else length
    if offset < 0 or any(d < 0 for d in tensor.dims) or wanted != length or offset + length > there:
        raise UserError(
            f"The external data of {file.name} is not whole.",
            f"{tensor.name or 'A tensor'} {list(tensor.dims)} needs {wanted:,} bytes at {offset:,} of {found.name}, "
            f"which has {there:,}.",
            AGAIN,
        )
    return found, offset, length


def _bits(tensor: onnx.TensorProto) -> int:
    """Bits of one number; 0 for a type without a fixed size, or an unknown one."""
    import onnx

    kinds = onnx.TensorProto
    if tensor.data_type in (kinds.UNDEFINED, kinds.STRING):
        return 0
    name = next((n for n, number in kinds.DataType.items() if number == tensor.data_type), "")
    if name.endswith(("INT4", "E2M1")) or name == "FLOAT4E2M1":
        return 4
    if name.endswith("INT2"):
        return 2
    try:
        return 8 * int(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize)
    except (KeyError, ValueError):
        return 0

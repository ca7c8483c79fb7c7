"""What a file is, by its content."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from safetensors.torch import save_file

from export.errors import UserError
from export.zoo import formats


def saved(content: object, legacy: bool = False) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, _use_new_zipfile_serialization=not legacy)
    return file.getvalue()


def zipped(**files: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file.getvalue()


def tarred(name: str, content: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


def npz() -> bytes:
    file = io.BytesIO()
    np.savez(file, a=np.zeros(2), b=np.ones(3))
    return file.getvalue()


def npy() -> bytes:
    file = io.BytesIO()
    np.save(file, np.zeros(2))
    return file.getvalue()


def frozen() -> bytes:
    """A TensorFlow graph of one constant, a float of shape []: node (1) with name, op and attribute."""
    tensor = b"\x08\x01\x12\x00\x22\x04" + struct.pack("<f", 7.5)
    entry = b"\x0a\x05value\x12" + bytes([len(tensor) + 2]) + b"\x42" + bytes([len(tensor)]) + tensor
    node = b"\x0a\x01a\x12\x05Const\x2a" + bytes([len(entry)]) + entry
    return b"\x0a" + bytes([len(node)]) + node


def onnx_file() -> bytes:
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1]) for n in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", ends[:1], ends[1:])
    file = io.BytesIO()
    onnx.save(helper.make_model(graph), file)
    return bytes(file.getbuffer())


STATE = saved({"a": torch.zeros(3)})
FILES: dict[str, bytes] = {
    "a file of torch.save": STATE,
    "a file of torch.save before PyTorch 1.6": saved({"a": torch.zeros(3)}, legacy=True),
    "a plain pickle": b"\x80\x04\x95\x0b\x00",
    "an ONNX file": onnx_file(),
    "a frozen TensorFlow graph": frozen(),
    "an HDF5 file": b"\x89HDF\r\n\x1a\n" + bytes(100),
    "a Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
    "a web page": b"\n <!DOCTYPE html><html><title>Sign in</title></html>",
    "an XML document": b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>',
    "a text that begins 'Not Found'": b"Not Found\n",
    "a JSON document": b'{"error": "Repository not found"}',
    "a damaged JSON document": b'{"error": ',
    "the index of a checkpoint in several parts": b'{"metadata": {}, "weight_map": {"a": "model-1-of-2.bin"}}',
    "a zip archive with run/best.pth, run/log.txt": zipped(**{"run/best.pth": STATE, "run/log.txt": b"x"}),
    "a zip archive with nothing": zipped(),
    "a NumPy archive": npz(),
    "a NumPy array": npy(),
    "a Keras 3 model": zipped(**{"config.json": b"{}", "metadata.json": b"{}", "model.weights.h5": b"x"}),
    "a program of torch.export": zipped(**{"net/archive_format": b"pt2", "net/models/model.json": b"{}"}),
    "a package of torch.package": zipped(**{"net/.data/version": b"6", "net/model/a.pkl": b"x"}),
    "a tar archive": tarred("best.pth", STATE),
    "a gzip archive": gzip.compress(tarred("best.pth", STATE)),
    "a bzip2 archive": bz2.compress(STATE),
    "an xz archive": lzma.compress(STATE),
    "a 7z archive": b"7z\xbc\xaf\x27\x1c" + bytes(50),
    "a RAR archive": b"Rar!\x1a\x07\x01\x00" + bytes(50),
    "part of a TensorFlow checkpoint": bytes(range(40)) + b"\x57\xfb\x80\x8b\x24\x75\x47\xdb",
    "the list of a TensorFlow checkpoint's files": b'model_checkpoint_path: "model.ckpt-9"\n',
    "a SavedModel of TensorFlow": b"\x08\x01\x12\x04\x0a\x02ab",
    "a TensorFlow Lite model": b"\x1c\x00\x00\x00TFL3" + bytes(20),
    "a GGUF file": b"GGUF" + bytes(20),
    "a PNG image": b"\x89PNG\r\n\x1a\n" + bytes(20),
    "of no known format (its first bytes are 00 00 00 00": bytes(64),
}


@pytest.mark.parametrize("words", FILES)
def test_a_file_is_called_what_it_is_under_any_name(tmp_path: Path, words: str) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes(FILES[words])
    assert formats.of(file).words.startswith(words)


def test_safetensors_under_another_name(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(2)}, tmp_path / "model.pth")
    assert formats.of(tmp_path / "model.pth") == formats.SAFETENSORS


def test_an_onnx_file_with_its_weights_elsewhere_is_one(tmp_path: Path) -> None:
    model = onnx.load_from_string(onnx_file())
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.zeros(2000, np.float32), "w"))
    onnx.save(model, tmp_path / "net.onnx", save_as_external_data=True, location="gone.bin", size_threshold=0)
    (tmp_path / "gone.bin").unlink()
    assert formats.of(tmp_path / "net.onnx") == formats.ONNX


def make_link(path: Path) -> None:
    path.symlink_to(path.parent / "gone")


def make_saved_model(path: Path) -> None:
    path.mkdir()
    (path / "saved_model.pb").touch()


def make_distributed(path: Path) -> None:
    path.mkdir()
    (path / "__0_0.distcp").touch()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: None, "does not exist"),
        (make_link, "link .* leads to a file that does not exist"),
        (Path.mkdir, "is a folder(.|\n)*It is empty"),
        (make_saved_model, "is a folder(.|\n)*SavedModel of TensorFlow"),
        (make_distributed, "is a folder(.|\n)*distributed checkpoint"),
        (os.mkfifo, "is not a regular file"),
        (Path.touch, "It is empty"),
        (lambda path: path.write_bytes(STATE[:200]), "damaged or truncated"),
    ],
)
def test_what_is_no_file_gets_a_sentence(tmp_path: Path, make: Callable[[Path], object], says: str) -> None:
    make(tmp_path / "net.pth")
    with pytest.raises(UserError, match=says):
        formats.of(tmp_path / "net.pth")

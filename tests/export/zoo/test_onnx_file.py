from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from foreign_files import Situation
from onnx import TensorProto

from export import external
from export.errors import UserError
from export.zoo import onnx_file


def beside(folder: Path, **entries: str) -> Path:
    """A file whose weights lie in ``w.bin``, but for what ``entries`` say of the first of them."""
    file = Situation(constants="external").write(folder)
    model = onnx.load(file, load_external_data=False)
    for entry in model.graph.initializer[0].external_data:
        entry.value = entries.get(entry.key, entry.value)
    file.write_bytes(model.SerializeToString())
    return file


def test_every_tensor_is_read_wherever_it_stands(tmp_path: Path) -> None:
    found = onnx_file.read(Situation(constants="external", branch="loop").write(tmp_path))
    assert not list(external.external(found))
    wanted = Situation(branch="loop").model()
    for one, other in zip(external.tensors(found), external.tensors(wanted), strict=True):
        assert one.name == other.name
        np.testing.assert_array_equal(onnx.numpy_helper.to_array(one), onnx.numpy_helper.to_array(other))


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({"location": ""}, "outside its folder"),
        ({"location": "."}, "outside its folder"),
        ({"location": "a\0b"}, "outside its folder"),
        ({"location": "x" * 5000}, "outside its folder|is missing"),
        ({"location": "..\\w.bin"}, "outside its folder"),
        ({"location": "/etc/passwd"}, "outside its folder"),
        ({"location": "sub/w.bin"}, "is missing"),
        ({"offset": "-4"}, "not whole"),
        ({"offset": "many"}, "not whole"),
        ({"offset": "9" * 5000}, "not whole"),
        ({"length": "4"}, "not whole"),
        ({"offset": "999999"}, "not whole"),
    ],
)
def test_external_data_that_is_not_there_is_refused(entries: dict[str, str], words: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=words):
        onnx_file.read(beside(tmp_path, **entries))


def test_a_link_is_followed_inside_the_folder_only(tmp_path: Path) -> None:
    inner = tmp_path / "files"
    inner.mkdir()
    file = Situation(constants="external").write(inner)
    (inner / "w.bin").rename(inner / "real.bin")
    os.symlink("real.bin", inner / "w.bin")
    onnx_file.read(file)
    (inner / "w.bin").unlink()
    os.symlink("w.bin", inner / "w.bin")
    with pytest.raises(UserError, match=r"outside its folder|missing"):
        onnx_file.read(file)


def test_external_data_of_an_attribute_is_refused_outside_the_folder(tmp_path: Path) -> None:
    model = Situation(constants="nodes").model()
    tensor = next(a.t for n in model.graph.node if n.op_type == "Constant" for a in n.attribute)
    tensor.data_location = TensorProto.EXTERNAL
    tensor.ClearField("raw_data")
    tensor.external_data.add(key="location", value="../secret")
    (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(UserError, match="outside its folder"):
        onnx_file.read(tmp_path / "net.onnx")


def test_four_bit_numbers_take_half_a_byte() -> None:
    assert onnx_file._bits(TensorProto(data_type=TensorProto.INT4)) == 4
    assert onnx_file._bits(TensorProto(data_type=TensorProto.FLOAT8E4M3FN)) == 8
    assert onnx_file._bits(TensorProto(data_type=TensorProto.BFLOAT16)) == 16
    assert onnx_file._bits(TensorProto(data_type=99)) == 0

"""Models that are held open: what is written of them is what would be written of one in memory."""

from __future__ import annotations

from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from export import external
from export.artifact import copy_files, files
from export.convert.verify import session


def model(side: int = 64) -> onnx.ModelProto:
    """x [b, side] · w · other + small."""
    draw = np.random.default_rng(0)
    return helper.make_model(
        helper.make_graph(
            [
                helper.make_node("MatMul", ["x", "w"], ["a"]),
                helper.make_node("MatMul", ["a", "other"], ["b"]),
                helper.make_node("Add", ["b", "small"], ["y"]),
            ],
            "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", side])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", side])],
            [
                numpy_helper.from_array(draw.normal(size=(side, side)).astype(np.float32), "w"),
                numpy_helper.from_array(draw.normal(size=(side, side)).astype(np.float32), "other"),
                numpy_helper.from_array(np.ones(1, np.float32), "small"),
            ],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> onnx.ModelProto:
    """The model with its weights beside it, held open; the limit is the usual one again."""
    with monkeypatch.context() as patch:
        patch.setattr(external, "LARGEST", 10_000)
        external.save(model(), tmp_path / "net.onnx")
    (tmp_path / "new").mkdir()
    return external.load(tmp_path / "net.onnx", tmp_path / "new")


def output(found: onnx.ModelProto | Path) -> np.ndarray:
    result: np.ndarray = session(found).run(None, {"x": np.linspace(-1, 1, 128, dtype=np.float32).reshape(2, 64)})[0]
    return result


def test_a_small_model_is_one_file_as_onnx_writes_it(tmp_path: Path) -> None:
    external.save(model(), tmp_path / "net.onnx")
    onnx.save(model(), tmp_path / "wanted.onnx")
    assert (tmp_path / "net.onnx").read_bytes() == (tmp_path / "wanted.onnx").read_bytes()
    assert files(tmp_path / "net.onnx") == (tmp_path / "net.onnx",)
    assert not external.is_open(external.load(tmp_path / "net.onnx"))


def test_a_large_one_has_its_weights_beside_it_on_pages(opened: onnx.ModelProto, tmp_path: Path) -> None:
    assert len(files(tmp_path / "net.onnx")) == 2
    assert (tmp_path / "net.onnx").stat().st_size < 2000
    spans = [external.span(tensor) for tensor in external.external(opened)]
    assert [(length, offset % 4096) for _, offset, length in spans] == [(64 * 64 * 4, 0)] * 2
    assert external.size(opened) > 2 * 64 * 64 * 4
    np.testing.assert_array_equal(
        external.values(opened.graph.initializer[0]), numpy_helper.to_array(model().graph.initializer[0])
    )
    np.testing.assert_allclose(output(opened), output(model()), rtol=1e-5)
    np.testing.assert_allclose(output(tmp_path / "net.onnx"), output(model()), rtol=1e-5)
    onnx.checker.check_model(str(tmp_path / "net.onnx"), full_check=True)


def test_an_open_one_that_fits_is_written_as_one_file(opened: onnx.ModelProto, tmp_path: Path) -> None:
    target = tmp_path / "one.onnx"
    target.with_name("one.onnx.data").write_bytes(b"of an older file")
    external.save(opened, target)
    assert files(target) == (target,)
    found, wanted = onnx.load(target), model()
    assert sorted(i.SerializeToString() for i in found.graph.initializer) == sorted(
        i.SerializeToString() for i in wanted.graph.initializer
    )
    assert [n.SerializeToString() for n in found.graph.node] == [n.SerializeToString() for n in wanted.graph.node]
    assert not found.metadata_props
    onnx.checker.check_model(str(target), full_check=True)
    np.testing.assert_array_equal(output(target), output(model()))


@pytest.mark.parametrize("kind", [np.float32, np.float16, ml_dtypes.bfloat16, np.int8, ml_dtypes.float8_e4m3fn])
def test_a_new_tensor_goes_into_the_scratch_folder_once(kind: type, opened: onnx.ModelProto, tmp_path: Path) -> None:
    values = np.linspace(-8, 8, 128 * 64).reshape(128, 64).astype(kind).T  # not contiguous
    one, other = (external.constant(opened, values, name) for name in ("one", "other"))
    assert external.is_external(one)
    assert len(list((tmp_path / "new").iterdir())) == 1
    for tensor in (one, other, external.constant(model(), values, "whole")):
        assert tuple(tensor.dims) == (64, 128)
        np.testing.assert_array_equal(external.values(tensor).astype(np.float32), values.astype(np.float32))
    assert not external.is_external(external.constant(opened, np.zeros((), kind), "scalar"))
    assert not external.is_external(external.constant(model(), values, "whole"))


def test_the_graph_alone_is_checked_and_gets_its_weights_again(opened: onnx.ModelProto) -> None:
    external.check(opened)
    weights = {tensor.name: tensor for tensor in external.external(opened)}
    bare = external.without(opened, weights)
    assert [i.name for i in bare.graph.initializer] == ["small"]
    assert [i.name for i in bare.graph.input] == ["x", "w", "other"]
    external.given_back(bare, weights)
    np.testing.assert_array_equal(output(bare), output(opened))
    opened.graph.node[-1].op_type = "NoSuchOperator"
    with pytest.raises(onnx.checker.ValidationError, match="NoSuchOperator"):
        external.check(opened)


def test_a_file_that_ends_too_early_is_no_tensor_of_zeros(opened: onnx.ModelProto, tmp_path: Path) -> None:
    with (tmp_path / "net.onnx.data").open("r+b") as beside:
        beside.truncate(20_000)
    with pytest.raises(OSError, match=r"ends .* before the tensor other does"):
        external.save(opened, tmp_path / "one.onnx")


def test_a_copy_has_both_files_or_one(opened: onnx.ModelProto, tmp_path: Path) -> None:
    target = tmp_path / "copy" / "net.onnx"
    target.parent.mkdir()
    copy_files(tmp_path / "net.onnx", target)
    assert [file.read_bytes() for file in files(target)] == [file.read_bytes() for file in files(tmp_path / "net.onnx")]
    (tmp_path / "small").mkdir()
    external.save(model(), tmp_path / "small" / "net.onnx")
    copy_files(tmp_path / "small" / "net.onnx", target)
    assert len(files(target)) == 1


def test_weights_in_nodes_become_initializers_and_those_in_branches_are_read(tmp_path: Path) -> None:
    weight = numpy_helper.from_array(np.eye(64, dtype=np.float32) * 2)
    (tmp_path / "w.bin").write_bytes(weight.raw_data)
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="w.bin")
    inner = helper.make_graph(
        [helper.make_node("Constant", [], ["k"], value=weight)],
        "then",
        [],
        [helper.make_tensor_value_info("k", 1, None)],
    )
    nodes = [
        helper.make_node("Constant", [], ["yes"], value=numpy_helper.from_array(np.array(True))),
        helper.make_node("If", ["yes"], ["branch"], then_branch=inner, else_branch=inner),
        helper.make_node("Constant", [], ["lies"], value=weight),
        helper.make_node("MatMul", ["x", "lies"], ["a"]),
        helper.make_node("MatMul", ["a", "branch"], ["y"]),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 64]) for name in "xy"]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (tmp_path / "net.onnx").write_bytes(made.SerializeToString())
    found = external.load(tmp_path / "net.onnx")
    assert [tensor.name for tensor in external.external(found)] == ["lies"]
    external.check(found)
    x = np.linspace(-1, 1, 128, dtype=np.float32).reshape(2, 64)
    np.testing.assert_allclose(output(found), 4 * x, rtol=1e-6)

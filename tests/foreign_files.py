"""Small finished ONNX files in the situations that people bring: types, batch axes, subgraphs, precisions, damage."""

from __future__ import annotations

import io
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper as nh
from PIL import Image

SIDE, WIDTH = 8, 6
RAW = "value_range: 255, mean: [0, 0, 0], std: [1, 1, 1]"
NORMALISED = "mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]"
NUMPY: dict[int, Any] = {
    T.FLOAT: np.float32,
    T.FLOAT16: np.float16,
    T.BFLOAT16: ml_dtypes.bfloat16,
    T.DOUBLE: np.float64,
    T.UINT8: np.uint8,
    T.INT8: np.int8,
    T.INT32: np.int32,
    T.INT64: np.int64,
}


@dataclass(frozen=True)
class Situation:
    """A network of two convolutions, and what is special about its file; every default is an ordinary file.

    Attributes:
        inside: how a batch axis looks at the end of the network. constants: where its weights stand.
        weights: what they hold. branch: what lies around the second convolution. tail: what makes the output.
        damage: what happened to the file's bytes.
    """

    takes: int = T.FLOAT
    batch: int | str = "n"
    shaped: bool = True
    layout: str = "NCHW"
    inside: str = "flatten"
    constants: str = "initializers"
    weights: str = "plain"
    precision: str = "fp32"
    branch: str = ""
    extra: str = ""
    tail: str = ""
    names: tuple[str, str] = ("x", "y")
    opset: int = 17
    ir: int = 8
    damage: str = ""
    sidecar: str = f"height: {SIDE}, width: {SIDE}, {NORMALISED}"
    cut: str = ""

    def model(self) -> onnx.ModelProto:
        """The file's content, its constants where they are to stand, but for external ones."""
        draw = np.random.default_rng(1)
        kind = np.float32
        if self.precision in ("fp16", "double"):
            kind = {"fp16": np.float16, "double": np.float64}[self.precision]
        number = h.np_dtype_to_tensor_dtype(np.dtype(kind))
        w1 = draw.normal(size=(4, 3, 3, 3)) * 0.3
        w2 = draw.normal(size=(WIDTH, 4, 3, 3)) * 0.3
        if self.weights in ("nan", "inf"):
            w2[0, 0, 0, 0] = float(self.weights)
        w2 = w2 * {"huge": 1e38, "zero": 0.0}.get(self.weights, 1.0)
        with np.errstate(over="ignore"):
            held: dict[str, Any] = {"w1": w1.astype(kind), "w2": w2.astype(kind)}
        x, y = self.names
        nodes: list[Any] = []
        at = x

        def step(operator: str, *inputs: str, **attributes: Any) -> str:
            nonlocal at
            out = f"t{len(nodes)}"
            nodes.append(h.make_node(operator, [at, *inputs], [out], f"node{len(nodes)}", **attributes))
            at = out
            return out

        if self.takes != number:
            step("Cast", to=number)
        if self.layout == "NHWC":
            step("Transpose", perm=[0, 3, 1, 2])
        second = "w2"
        if self.precision in ("int8", "int16"):
            zero = np.zeros((), np.int8 if self.precision == "int8" else np.int16)
            held |= {"scale": np.array(0.02, np.float32), "zero": zero}
            for operator in ("QuantizeLinear", "DequantizeLinear"):
                step(operator, "scale", "zero", **({"domain": "com.microsoft"} if self.precision == "int16" else {}))
        step("Conv", "w1", kernel_shape=[3, 3])
        step("Relu")
        if self.branch == "if":
            held["yes"] = np.array(True)
            outer = at
            inner = [h.make_node("Conv", [outer, second], ["then"], kernel_shape=[3, 3])]
            other = [h.make_node("Neg", ["then2"], ["else"])]
            other.insert(0, h.make_node("Conv", [outer, second], ["then2"], kernel_shape=[3, 3]))
            ends = [h.make_tensor_value_info(n, number, None) for n in ("then", "else")]
            branches = [h.make_graph(inner, "a", [], ends[:1]), h.make_graph(other, "b", [], ends[1:])]
            nodes.append(h.make_node("If", ["yes"], ["t_if"], then_branch=branches[0], else_branch=branches[1]))
            at = "t_if"
        elif self.branch == "loop":
            held |= {"trips": np.array(2), "go": np.array(True)}
            body = [
                h.make_node("Identity", ["go_in"], ["go_out"]),
                h.make_node("Mul", ["state", "half"], ["next"]),
            ]
            inputs = [h.make_tensor_value_info("i", T.INT64, []), h.make_tensor_value_info("go_in", T.BOOL, [])]
            inputs.append(h.make_tensor_value_info("state", number, None))
            ends = [h.make_tensor_value_info("go_out", T.BOOL, []), h.make_tensor_value_info("next", number, None)]
            half = [nh.from_array(np.array(0.5, kind), "half")]
            nodes.append(
                h.make_node(
                    "Loop", ["trips", "go", at], ["t_loop"], body=h.make_graph(body, "body", inputs, ends, half)
                )
            )
            at = "t_loop"
            step("Conv", second, kernel_shape=[3, 3])
        elif self.branch == "function":
            nodes.append(h.make_node("Block", [at, second], ["t_f"], domain="own.functions"))
            at = "t_f"
        else:
            step("Conv", second, kernel_shape=[3, 3])
        if self.extra == "dropout":
            held |= {"ratio": np.array(0.5, np.float32), "train": np.array(True)}
            step("Dropout", "ratio", "train")
        elif self.extra == "batchnorm":
            held |= {f"bn{i}": np.ones(WIDTH, kind) for i in range(4)}
            nodes.append(
                h.make_node(
                    "BatchNormalization", [at, *(f"bn{i}" for i in range(4))], ["bn", "m", "v"], training_mode=1
                )
            )
            at = "bn"
        elif self.extra == "random":
            before = step("Identity")
            step("RandomNormalLike")
            step("Add", before)
        elif self.extra in ("my.ops", "com.microsoft", "ai.onnx.contrib"):
            step("Gelu" if self.extra == "com.microsoft" else "FancyPool", domain=self.extra)
        elif self.extra == "unknown":
            step("FancyPool")
        elif self.extra == "batch mean":
            before = at
            held["axis0"] = np.array([0])
            nodes.append(h.make_node("ReduceMean", [at], ["mean"], axes=[0], keepdims=1))
            nodes.append(h.make_node("Sub", [before, "mean"], ["centred"]))
            at = "centred"
        elif self.extra == "batch softmax":
            step("Softmax", axis=0)
        step("GlobalAveragePool")
        if self.inside == "flatten":
            step("Flatten", axis=1)
        elif self.inside.startswith("["):
            held["shape"] = np.array([int(v) for v in self.inside.strip("[]").split(",")])
            step("Reshape", "shape")
        elif self.inside == "squeeze":
            step("Squeeze")
        elif self.inside == "sequence first":
            held["axes0"] = np.array([0])
            step("Flatten", axis=1)
            step("Unsqueeze", "axes0")
        elif self.inside == "transposed":
            step("Flatten", axis=1)
            step("Transpose", perm=[1, 0])
        elif self.inside == "empty":
            held |= {"from": np.array([0]), "to": np.array([0]), "along": np.array([1])}
            step("Slice", "from", "to", "along")
            step("Flatten", axis=1)
        elif self.inside == "huge":
            held["grow"] = np.array([1, 1, 1024, 1024])
            step("Expand", "grow")
            step("Flatten", axis=1)
        gives = number
        if self.tail in ("int64", "double", "float16", "bool", "float"):
            gives = getattr(T, self.tail.upper())
            step("Cast", to=gives)
        elif self.tail == "constant":
            held["none"] = np.zeros((), kind)
            step("Mul", "none")
        elif self.tail == "sequence":
            step("SequenceConstruct")
        nodes[-1].output[0] = y
        output = h.make_tensor_value_info(y, gives, None)
        if self.tail == "sequence":
            output = h.make_tensor_sequence_value_info(y, gives, None)
        outputs = [output]
        if self.tail == "two outputs":
            nodes.append(h.make_node("Exp", [y], ["z"]))
            outputs.append(h.make_tensor_value_info("z", gives, None))
        image = [3, SIDE, SIDE] if self.layout == "NCHW" else [SIDE, SIDE, 3]
        inputs = [h.make_tensor_value_info(x, self.takes, [self.batch, *image] if self.shaped else None)]
        if self.extra == "second input":
            inputs.append(h.make_tensor_value_info("mask", T.FLOAT, [1]))
            nodes.append(h.make_node("Mul", [y, "mask"], ["masked"]))
            outputs = [h.make_tensor_value_info("masked", T.FLOAT, None)]
        initializers, sparse = [], []
        for name, values in held.items():
            tensor = nh.from_array(np.asarray(values), name)
            if self.constants == "nodes":
                nodes.insert(0, h.make_node("Constant", [], [name], value=tensor))
            elif self.constants == "sparse" and name == "w2":
                flat = values.ravel()
                where = np.flatnonzero(flat)
                part = nh.from_array(flat[where], name)
                sparse.append(h.make_sparse_tensor(part, nh.from_array(where, f"{name} indices"), values.shape))
            else:
                initializers.append(tensor)
        graph = h.make_graph(nodes, "g", inputs, outputs, initializers, sparse_initializer=sparse)
        domains = ["com.microsoft", "my.ops", "ai.onnx.contrib", "own.functions"]
        functions = []
        if self.branch == "function":
            own = h.make_node("Conv", ["a", "b"], ["c"], kernel_shape=[3, 3])
            functions = [
                h.make_function("own.functions", "Block", ["a", "b"], ["c"], [own], [h.make_opsetid("", self.opset)])
            ]
        sets = [h.make_opsetid("", self.opset), *(h.make_opsetid(d, 1) for d in domains)]
        return h.make_model(graph, opset_imports=sets, ir_version=self.ir, functions=functions)

    def write(self, folder: Path, name: str = "net") -> Path:
        """``name.onnx`` and ``name.yaml`` in a folder that is there."""
        file = folder / f"{name}.onnx"
        model = self.model()
        if self.constants.startswith("external"):
            self._externalise(model, folder)
        raw = model.SerializeToString()
        if self.damage == "half":
            raw = raw[: len(raw) // 2]
        elif self.damage == "flipped":
            raw = bytes(b ^ 0x15 if i % 97 == 5 else b for i, b in enumerate(raw))
        elif self.damage:
            raw = OTHERS[self.damage]
        file.write_bytes(raw)
        layout = ", layout: NHWC" if self.layout == "NHWC" and "layout" not in self.sidecar else ""
        text = f"preprocess: {{{self.sidecar}{layout}}}\n"
        file.with_suffix(".yaml").write_text(text + (f"cut: {self.cut}\n" if self.cut else ""))
        return file

    def _externalise(self, model: onnx.ModelProto, folder: Path) -> None:
        """Put the weights, those in subgraphs and attributes too, into ``w.bin``, in the way that is to be tried."""
        how = self.constants.removeprefix("external").strip()
        place = {"outside": "../w.bin", "absolute": str((folder.parent / "w.bin").resolve())}.get(how, "w.bin")
        data = b""
        found = list(model.graph.initializer)
        for node in model.graph.node:
            for a in node.attribute:
                if a.HasField("g"):
                    found += a.g.initializer
        for tensor in found:
            raw = tensor.raw_data
            tensor.ClearField("raw_data")
            tensor.data_location = T.EXTERNAL
            for key, value in (("location", place), ("offset", str(len(data))), ("length", str(len(raw)))):
                entry = tensor.external_data.add()
                entry.key, entry.value = key, value
            data += raw
        if how == "truncated":
            data = data[:-7]
        if how in ("outside", "absolute", "link"):
            (folder.parent / "w.bin").write_bytes(data)
            if how == "link":
                os.symlink(folder.parent / "w.bin", folder / "w.bin")
        elif how != "missing":
            (folder / "w.bin").write_bytes(data)


def _zip(*names: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in names:
            archive.writestr(name, b"content")
    return out.getvalue()


OTHERS: dict[str, bytes] = {
    "empty": b"",
    "lfs": b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
    "html": b"\n<!DOCTYPE html>\n<html><body>Please log in.</body></html>",
    "torchscript": _zip("net/data.pkl", "net/code/__torch__.py", "net/constants.pkl"),
    "checkpoint": _zip("net/data.pkl", "net/data/0"),
    "core ml": _zip("Manifest.json", "Data/com.apple.CoreML/model.mlmodel"),
    "zip": _zip("inner/model.onnx"),
    "pickle": b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00cos\nsystem\n",
    "safetensors": (64).to_bytes(8, "little") + b'{"w":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}'.ljust(80),
    "tflite": b"\x1c\x00\x00\x00TFL3" + bytes(40),
    "ort": b"\x20\x00\x00\x00ORTM" + bytes(40),
    "hdf5": b"\x89HDF\r\n\x1a\n" + bytes(40),
    "gzip": b"\x1f\x8b\x08\x00" + bytes(40),
    "tar": b"a" * 257 + b"ustar" + bytes(100),
    "tensorrt": b"ftrt" + bytes(60),
    "openvino": b'<?xml version="1.0"?><net name="a" version="11"></net>',
    "json": b'{"message": "rate limited"}',
    "text": b"404: Not Found\n",
    "graphdef": b"\x0a\x10\x0a\x05input\x12\x07Placeho\x22\x02\x08\x1b",
    "saved model": b"\x08\x01\x12\x0c\x0a\x0a\x0a\x00\x22\x06serve!",
    "zeros": bytes(300),
    "noise": np.random.default_rng(3).bytes(500),
    "cut in its header": b"\x08\x08\x12\x07pytorch",
}
"""What lies under the name of an ONNX file without being one."""


def _photographs(count: int = 7) -> list[bytes]:
    found = []
    for seed in range(count):
        out = io.BytesIO()
        pixels = np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(out, "PNG")
        found.append(out.getvalue())
    return found


PHOTOGRAPHS = _photographs()
"""Encoded pictures of noise, at the networks' size."""

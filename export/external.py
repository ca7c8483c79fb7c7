"""ONNX models whose weights lie beside them: a protocol buffer holds 2 GB, and ``model.onnx.data`` whatever is more.

Such a model is held open: its large tensors stay in their files, named by absolute paths, and each is read when it is
asked for. Copying, rewriting and checking the graph then costs nothing, and no more than one tensor is in memory. New
large tensors of an open model go into its scratch folder, in files that are named by their content: twenty candidates
that share a weight share a file. :func:`save` makes of it one file, or two where one cannot hold it.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Collection, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import numpy.typing as npt

from export.artifact import data_file

if TYPE_CHECKING:
    import onnx

LARGEST = 1_900_000_000
"""Bytes of a model that is written as one file; the weights of a larger one lie beside it."""
SMALL = 1 << 12
"""A tensor of fewer bytes is always in the graph itself: what shapes are worked out from is."""
_PAGE = 4096
"""Tensors begin at multiples of this, so that a runtime can map them."""
_BLOCK = 1 << 24
_SCRATCH = "backbones-deployed.scratch"


def load(file: Path, scratch: Path | None = None) -> onnx.ModelProto:
    """A model of ours, or of PyTorch's exporter: whole where it is one file, open where weights lie beside it.

    Args:
        scratch: the folder for new large tensors of an open model; it must outlive it.
    """
    import onnx

    model = onnx.load(str(file), load_external_data=False)
    for tensor in external(model):
        entries = {entry.key: entry.value for entry in tensor.external_data}
        path = file.parent.absolute() / entries["location"]
        offset = int(entries.get("offset", 0))
        point_to(tensor, path, offset, int(entries.get("length", path.stat().st_size - offset)))
    gather(model)
    if scratch is not None and is_open(model):
        model.metadata_props.add(key=_SCRATCH, value=str(scratch.absolute()))
    return model


def gather(model: onnx.ModelProto) -> None:
    """Let the tensors that lie in files be initializers of the main graph, all of them; what stands elsewhere than in
    one of its Constant nodes is read into the graph."""
    kept = []
    for node in model.graph.node:
        value = next((a.t for a in node.attribute if a.name == "value" and a.HasField("t")), None)
        if node.op_type == "Constant" and value is not None and is_external(value):
            value.name = node.output[0]
            model.graph.initializer.append(value)
        else:
            kept.append(node)
    if len(kept) < len(model.graph.node):
        _replace(model.graph.node, kept)
    for tensor in islice(tensors(model), len(model.graph.initializer), None):
        if is_external(tensor):
            tensor.CopyFrom(inline(tensor))


def is_open(model: onnx.ModelProto) -> bool:
    """Whether some of its tensors lie in files."""
    return any(map(is_external, model.graph.initializer))


def size(model: onnx.ModelProto) -> int:
    """Bytes of the model's constants, those in files included: all but the graph. Nothing is serialized for it."""
    from onnx import helper

    found = 0
    for tensor in tensors(model):
        if is_external(tensor):
            found += span(tensor)[2]
        elif tensor.data_type:
            found += math.prod(tensor.dims) * helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    return found


# -- walking -----------------------------------------------------------------------------------------------------------


def graphs(model: onnx.ModelProto) -> Iterator[onnx.GraphProto]:
    """The main graph first, then those inside nodes (If, Loop, Scan), those of functions' nodes included."""
    yield model.graph
    for nodes in (model.graph.node, *(function.node for function in model.functions)):
        yield from _inner(nodes)


def _inner(nodes: Any) -> Iterator[onnx.GraphProto]:
    for node in nodes:
        for graph in subgraphs(node):
            yield graph
            yield from _inner(graph.node)


def subgraphs(node: onnx.NodeProto) -> list[onnx.GraphProto]:
    """The graphs that a node holds."""
    return [graph for a in node.attribute for graph in ([a.g] if a.HasField("g") else []) + list(a.graphs)]


def nodes(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    """Every node, those in subgraphs and functions included."""
    for graph in graphs(model):
        yield from graph.node
    for function in model.functions:
        yield from function.node


def tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Every constant, wherever it stands: initializers, sparse ones, attributes, in subgraphs and functions too."""
    for graph in graphs(model):
        yield from graph.initializer
        for sparse in graph.sparse_initializer:
            yield from (sparse.values, sparse.indices)
    for node in nodes(model):
        for a in node.attribute:
            yield from ([a.t] if a.HasField("t") else []) + list(a.tensors)
            for sparse in ([a.sparse_tensor] if a.HasField("sparse_tensor") else []) + list(a.sparse_tensors):
                yield from (sparse.values, sparse.indices)


def external(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """The tensors that lie in files."""
    return filter(is_external, tensors(model))


def is_external(tensor: onnx.TensorProto) -> bool:
    """Whether a tensor lies in a file."""
    return bool(tensor.external_data) or tensor.data_location == type(tensor).EXTERNAL


# -- tensors -----------------------------------------------------------------------------------------------------------


def point_to(tensor: onnx.TensorProto, path: Path | str, offset: int, length: int) -> None:
    """Let a tensor's numbers lie in a file."""
    tensor.ClearField("raw_data")
    tensor.data_location = type(tensor).EXTERNAL
    del tensor.external_data[:]
    for key, value in (("location", os.fspath(path)), ("offset", str(offset)), ("length", str(length))):
        tensor.external_data.add(key=key, value=value)


def span(tensor: onnx.TensorProto) -> tuple[Path, int, int]:
    """(file, offset, length) of an external tensor of an open model."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    return Path(entries["location"]), int(entries["offset"]), int(entries["length"])


def values(tensor: onnx.TensorProto) -> npt.NDArray[Any]:
    """A tensor's numbers; of one that lies in a file a view of that, which must not be written to."""
    from onnx import helper, numpy_helper

    if not is_external(tensor):
        return numpy_helper.to_array(tensor)
    path, offset, length = span(tensor)
    dtype, dims = helper.tensor_dtype_to_np_dtype(tensor.data_type), tuple(tensor.dims)
    if length == dtype.itemsize * int(np.prod(dims, dtype=np.int64)) and length:
        return np.memmap(path, dtype, "r", offset, dims)
    return numpy_helper.to_array(inline(tensor))  # several numbers share a byte


def inline(tensor: onnx.TensorProto) -> onnx.TensorProto:
    """A copy of an external tensor that holds its numbers itself."""
    whole = type(tensor)()
    whole.CopyFrom(tensor)
    whole.ClearField("data_location")
    del whole.external_data[:]
    whole.raw_data = b"".join(_blocks(tensor))
    return whole


def constant(model: onnx.ModelProto, array: npt.NDArray[Any], name: str) -> onnx.TensorProto:
    """A new tensor for a model: in its scratch folder where it is large and the model is open."""
    from onnx import TensorProto, helper, numpy_helper

    scratch = next((p.value for p in model.metadata_props if p.key == _SCRATCH), "")
    if not scratch or array.nbytes < SMALL:
        return numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), name)
    whole = np.ascontiguousarray(array)
    kind = helper.np_dtype_to_tensor_dtype(whole.dtype)
    content = whole.view(np.uint8).reshape(-1).data
    path = Path(scratch, hashlib.sha256(content).hexdigest())
    if not path.exists():
        part = path.with_suffix(".part")
        with part.open("wb") as opened:
            opened.write(content)
        part.rename(path)
    tensor = TensorProto(name=name, data_type=kind, dims=array.shape)
    point_to(tensor, path, 0, array.nbytes)
    return tensor


def _blocks(tensor: onnx.TensorProto) -> Iterator[bytes]:
    """The bytes of a tensor in a file, a few at a time."""
    path, offset, left = span(tensor)
    with path.open("rb") as opened:
        opened.seek(offset)
        while left and (block := opened.read(min(left, _BLOCK))):
            left -= len(block)
            yield block
    if left:
        raise OSError(f"{path} ends {left:,} bytes before the tensor {tensor.name} does")


# -- the graph without its weights -------------------------------------------------------------------------------------


def without(model: onnx.ModelProto, names: Collection[str]) -> onnx.ModelProto:
    """A copy of which these initializers are inputs without values, for what must not look at them."""
    from onnx import helper

    bare = type(model)()
    bare.CopyFrom(model)
    kept = []
    for tensor in bare.graph.initializer:
        if tensor.name in names:
            bare.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims)))
        else:
            kept.append(tensor)
    _replace(bare.graph.initializer, kept)
    return bare


def given_back(bare: onnx.ModelProto, tensors: Mapping[str, onnx.TensorProto]) -> None:
    """The inverse, in place, after ``bare`` was rewritten: those of the tensors that it still reads are initializers.
    All of these stand in the order in which they are read, as onnxslim leaves them."""
    place = {name: n for n, name in enumerate(dict.fromkeys(name for node in nodes(bare) for name in node.input))}
    _replace(bare.graph.input, [value for value in bare.graph.input if value.name not in tensors])
    bare.graph.initializer.extend(tensor for name, tensor in tensors.items() if name in place)
    bare.graph.initializer.sort(key=lambda tensor: place.get(tensor.name, len(place)))


def _replace(repeated: Any, kept: list[Any]) -> None:
    copies = [type(message)() for message in kept]
    for new, message in zip(copies, kept, strict=True):
        new.CopyFrom(message)
    del repeated[:]
    repeated.extend(copies)


def check(model: onnx.ModelProto) -> None:
    """ONNX's own checks, without large constants: it would serialize them.

    Raises:
        onnx.checker.ValidationError: it breaks a rule.
    """
    import onnx

    apart = {tensor.name for tensor in model.graph.initializer if is_external(tensor) or len(tensor.raw_data) > SMALL}
    onnx.checker.check_model(without(model, apart) if apart else model)


def below(model: onnx.ModelProto) -> tuple[bytes, Path | None]:
    """A model for a runtime that reads bytes, and the folder below which the files of an open one lie."""
    if not is_open(model):
        return model.SerializeToString(), None
    placed = type(model)()
    placed.CopyFrom(model)
    folder = Path(os.path.commonpath({span(tensor)[0].parent for tensor in external(placed)}))
    for tensor in external(placed):
        path, offset, length = span(tensor)
        point_to(tensor, path.relative_to(folder), offset, length)
    return placed.SerializeToString(), folder


# -- writing -----------------------------------------------------------------------------------------------------------


def save(model: onnx.ModelProto, file: Path) -> None:
    """Write a model: as one file, or with ``.onnx.data`` beside it where it has more than :data:`LARGEST` bytes."""
    import onnx

    beside = data_file(file)
    fits = size(model) <= LARGEST
    if fits and not is_open(model):
        onnx.save(model, str(file))
        beside.unlink(missing_ok=True)
        return
    written = type(model)()
    written.CopyFrom(model)
    _replace(written.metadata_props, [p for p in written.metadata_props if p.key != _SCRATCH])
    if fits:
        _save_whole(written, file)
        beside.unlink(missing_ok=True)
        return
    with beside.open("wb") as data:
        for tensor in written.graph.initializer:
            if is_external(tensor) or len(tensor.raw_data) >= SMALL:
                offset = _aligned(data)
                length = sum(data.write(block) for block in _content(tensor))
                point_to(tensor, beside.name, offset, length)
    onnx.save(written, str(file))


def _content(tensor: onnx.TensorProto) -> Iterator[bytes]:
    return _blocks(tensor) if is_external(tensor) else iter((tensor.raw_data,))


def _aligned(data: BinaryIO) -> int:
    data.write(b"\0" * (-data.tell() % _PAGE))
    return data.tell()


def _save_whole(model: onnx.ModelProto, file: Path) -> None:
    """Write one file without ever holding it: a protocol buffer is the sequence of its parts.

    The field numbers are those of ``onnx.proto``: a model's graph is 7, a graph's initializers are 5, a tensor's
    ``raw_data`` is 9 (https://protobuf.dev/programming-guides/encoding).
    """
    held = [(tensor, *_head(tensor)) for tensor in model.graph.initializer if is_external(tensor)]
    graph = type(model.graph)()
    graph.CopyFrom(model.graph)
    _replace(graph.initializer, [tensor for tensor in graph.initializer if not is_external(tensor)])
    rest = graph.SerializeToString()
    whole = type(model)()
    whole.CopyFrom(model)
    whole.ClearField("graph")
    length = len(rest) + sum(len(head) + size for _, head, size in held)
    with file.open("wb") as opened:
        opened.write(whole.SerializeToString() + _field(7, length) + rest)
        for tensor, head, _ in held:
            opened.write(head)
            for block in _blocks(tensor):
                opened.write(block)


def _head(tensor: onnx.TensorProto) -> tuple[bytes, int]:
    """What stands before a tensor's bytes in a file, and how many they are."""
    head = type(tensor)()
    head.CopyFrom(tensor)
    head.ClearField("data_location")
    del head.external_data[:]
    length = span(tensor)[2]
    own = head.SerializeToString() + _field(9, length)
    return _field(5, len(own) + length) + own, length


def _field(number: int, length: int) -> bytes:
    """The tag of a field of so many bytes, and their number."""
    found = bytearray([number << 3 | 2])
    while length > 0x7F:
        found.append(length & 0x7F | 0x80)
        length >>= 7
    found.append(length)
    return bytes(found)

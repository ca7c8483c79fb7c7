"""Backbone → artifact: traced, slimmed, compared with its eager twin on real photographs, and published.

TorchScript's exporter is used and not the newer one: it takes a tenth of the time, its node names are the module's own
paths, and it converts architectures (Hiera) that the newer one does not. ``onnxslim`` then folds the shape arithmetic
that tracing leaves behind (EfficientNet-Lite0: 628 → 93 nodes).
"""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from export import external, needs
from export.artifact import ONNX, Artifact
from export.convert.photographs import digest
from export.errors import CellError, UserError, first_line
from export.spec import Precision, PreprocessSpec
from export.store import Store, key
from export.zoo import own_code, weights
from export.zoo.backbones import Backbone
from export.zoo.sources import ModuleFunction, OnnxFile, without_places

if TYPE_CHECKING:
    import onnx
    import torch

OPSET = 17
"""The first opset with LayerNormalization as one operator: without it, fp16 overflows in the pieces (pitfall 18)."""
INPUT = "pixel_values"
TRACED = Path("traced", ONNX)
"""In the entry's folder until it is slimmed: of a large module the exporter writes every weight into a file."""
EXPORTER = 3
"""Raised whenever this room would make another file of the same backbone."""


def artifact_key(backbone: Backbone, store: Store, *, taps: Sequence[str] = (), images: Path | None = None) -> str:
    """The fp32 file's key: backbone, weights, exporter and its versions, opset. Loads no framework.

    Raises:
        Unavailable: the weights have to be fetched for their hash, and cannot be.
        UserError: a finished ONNX file cannot be read.
    """
    own: dict[str, Any] = {}
    if backbone.size or backbone.resize:
        own["input"] = [backbone.size, backbone.resize]
    if backbone.depth:
        own["depth"] = backbone.depth
    if isinstance(backbone.source, OnnxFile):
        from export.convert import foreign

        own["foreign"] = foreign.identity(backbone)
    if isinstance(backbone.source, ModuleFunction):
        own["code"] = own_code.digest(backbone.source.target)
    return key(
        "onnx",
        **own,
        network=without_places(backbone.source),
        preprocess={k: list(v) if isinstance(v, tuple) else v for k, v in backbone.preprocess.items()},
        name=backbone.name,
        weights=weights.digest(backbone, store),
        output=backbone.output,
        taps=list(taps),
        photographs=digest(images),
        precision=str(Precision.FP32),
        opset=OPSET,
        exporter=EXPORTER,
        libraries={name: version(name) for name in ("torch", "timm", "onnx", "onnxslim")},
    )


def artifact(backbone: Backbone, store: Store, *, taps: Sequence[str] = (), images: Path | None = None) -> Artifact:
    """The backbone's fp32 file, exported if the store does not have it.

    Args:
        taps: feature maps that it gives beside its features (see :mod:`export.convert.outputs`).
        images: photographs for the parity gate, instead of the published ones.

    Raises:
        UserError, Unavailable: as :func:`export.zoo.loaders.eager`.
        CellError: the exporter cannot convert the module.
    """

    def build(folder: Path) -> Mapping[str, Any]:
        from export.convert import foreign, verify

        if isinstance(backbone.source, OnnxFile):
            _require_own_form(backbone, taps)
            return foreign.build(backbone, backbone.source, store, folder, images)
        from export.zoo.loaders import eager
        from export.zoo.unloaded import bytes_of, weight_bytes

        size = weight_bytes(backbone)
        _require_room(backbone, size, folder, store)
        loaded = eager(backbone, store)
        if not size:
            size = bytes_of(loaded.module)
            _require_room(backbone, size, folder, store)
        notes, spec = list(loaded.notes), loaded.preprocess
        for note in notes:
            store.say(f"  {backbone.name}: {note}")
        pixels, values = verify.inputs(spec, store, images)
        wrapped, shapes = _wrapped(backbone, loaded.module, spec, taps)
        with ThreadPoolExecutor(1) as beside:  # tracing and slimming take one core
            eager_twin = beside.submit(verify.reference, loaded.module, list(shapes), pixels, values)
            _trace(backbone, wrapped, _example(spec), list(shapes), folder / TRACED)
            fields = _fields(backbone, loaded.module, spec, shapes)
            if size > external.LARGEST:  # its weights are in a file now, and would lie in memory twice
                eager_twin.result()
            del loaded, wrapped
            fields["gmacs"] = _slimmed(folder)
            eager_twin.result().save(folder)
        parity = verify.verify(folder, spec)
        if not parity.passed and _differs(spec, folder):
            fields["gmacs"] = _as_traced(backbone, folder, store.say)
            parity = verify.verify(folder, spec)
        shutil.rmtree((folder / TRACED).parent)
        if not parity.passed:
            store.say(f"{backbone.name}: parity FAILED on real photographs: {parity}")
        return {
            **fields,
            "source": {**weights.source(backbone, store), "request": backbone.as_json(), "notes": notes},
            "parity": asdict(parity),
            "compared": {"with": "eager PyTorch", "batches": list(verify.BATCHES)},
        }

    onnx_key = artifact_key(backbone, store, taps=taps, images=images)
    return Artifact.of(store.obtain("onnx", onnx_key, build))


def _require_room(backbone: Backbone, size: int, folder: Path, store: Store) -> None:
    needs.require_disk(f"the export of {backbone.name!r}", needs.EXPORT_DISK * size, folder)
    needs.require_memory(f"the export of {backbone.name!r}", needs.MEMORY * size, store.say)


def _require_own_form(backbone: Backbone, taps: Sequence[str]) -> None:
    """Refuse another input size of a finished file, a depth, or feature maps: it is what it is."""
    own = "x".join(str(backbone.preprocess.get(side)) for side in ("height", "width"))
    asked = {
        "feature maps": bool(taps),
        f"depth {backbone.depth}": bool(backbone.depth),
        f"input {backbone.size}": backbone.size not in ("", own),
        f"input by {backbone.resize}": bool(backbone.resize),
    }
    for what in (what for what, changed in asked.items() if changed):
        raise CellError(
            f"{backbone.name!r} is a finished ONNX file.",
            f"Asked: {what}. Its input{f' ({own})' if 'None' not in own else ''} and its outputs cannot be changed.",
            "the network itself: a zoo row, a timm id or module:function",
        )


def unverified(backbone: Backbone, store: Store, folder: Path) -> dict[str, Any]:
    """Write the fp32 file of a module without comparing it with anything; its fields (see ``export.lower.draft``)."""
    if isinstance(backbone.source, OnnxFile):
        from export.convert import foreign

        return dict(foreign.build(backbone, backbone.source, store, folder))
    from export.zoo.loaders import eager

    loaded = eager(backbone, store)
    spec = loaded.preprocess
    wrapped, shapes = _wrapped(backbone, loaded.module, spec, ())
    _trace(backbone, wrapped, _example(spec), list(shapes), folder / TRACED)
    fields = _fields(backbone, loaded.module, spec, shapes)
    del loaded, wrapped
    fields["gmacs"] = _slimmed(folder)
    if _differs(spec, folder):
        fields["gmacs"] = _as_traced(backbone, folder, store.say)
    shutil.rmtree((folder / TRACED).parent)
    return fields


def _wrapped(
    backbone: Backbone, module: torch.nn.Module, spec: PreprocessSpec, taps: Sequence[str]
) -> tuple[torch.nn.Module, dict[str, tuple[int, ...]]]:
    """The module as it is traced, and its outputs: name → shape without the batch."""
    from export.convert.outputs import module_with_outputs

    wrapped = module_with_outputs(_exportable(module), backbone.output, taps)
    return wrapped, _shapes(backbone, wrapped, _example(spec))


def _fields(
    backbone: Backbone, module: torch.nn.Module, spec: PreprocessSpec, shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, Any]:
    """What the manifest says of a file."""
    return {
        "backbone": backbone.name,
        "precision": str(Precision.FP32),
        "opset": OPSET,
        "preprocess": spec.as_json(),
        "input": INPUT,
        "outputs": [{"name": n, "shape": list(s), "dtype": "float32"} for n, s in shapes.items()],
        "untrained": backbone.untrained,
        "parameters": sum(p.numel() for p in module.parameters()),
        "gmacs": None,
        "feature": backbone.feature,
    }


def _example(spec: PreprocessSpec) -> torch.Tensor:
    """Batch 2, not 1: a batch of one lets tracing take the batch axis for a constant."""
    import torch

    return torch.rand(2, 3, spec.height, spec.width, generator=torch.Generator().manual_seed(0))


def _shapes(backbone: Backbone, module: torch.nn.Module, example: torch.Tensor) -> dict[str, tuple[int, ...]]:
    import torch

    try:
        with torch.no_grad():
            found = module(example)
    except (AssertionError, RuntimeError, ValueError) as error:
        raise CellError(f"{backbone.name!r} does not run on {list(example.shape)}.", first_line(error)) from error
    tensors = found if isinstance(found, tuple) else (found,)
    if not all(isinstance(t, torch.Tensor) for t in tensors) or tensors[0].ndim != 2:
        raise UserError(
            f"{backbone.name!r} does not return features [n, d].",
            f"Its output is {[list(getattr(t, 'shape', [])) for t in tensors]}.",
        )
    names: Sequence[str] = module.names  # type: ignore[assignment]
    return {n: tuple(t.shape[1:]) for n, t in zip(names, tensors, strict=True)}


def _trace(backbone: Backbone, module: torch.nn.Module, example: torch.Tensor, names: list[str], path: Path) -> None:
    """Write the file of the module as it is traced, in a folder of its own."""
    import torch

    axes = {name: {0: "batch"} for name in [INPUT, *names]}
    path.parent.mkdir()
    try:
        with warnings.catch_warnings(), _quiet(), torch.no_grad():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                module,
                (example,),
                str(path),
                dynamo=False,
                opset_version=OPSET,
                input_names=[INPUT],
                output_names=names,
                dynamic_axes=axes,
            )
    except (RuntimeError, TypeError, ValueError, torch.onnx.errors.OnnxExporterError) as error:
        raise CellError(f"{backbone.name!r} cannot be exported to ONNX.", first_line(error)) from error


def _exportable(module: torch.nn.Module) -> torch.nn.Module:
    """A copy that traces well, of which only the weights' memory is shared; parity is judged against the original.

    Train-time branches are folded into one, where timm's module can. TensorFlow's SAME padding, which timm works out
    from the input's shape in every forward, becomes the constant that it is at one input size. Fused attention hides
    its mask logic from tracing; the plain form is what engines fuse by themselves. timm's global flags for all this are
    read when a module is made, and are not touched.
    """
    from copy import deepcopy

    import torch

    from export.torchvision_ops import import_timm

    import_timm()
    from timm.layers.conv2d_same import Conv2dSame, Conv2dSameExport
    from timm.utils.model import reparameterize_model

    shared: dict[int, Any] = {
        id(weight): torch.nn.Parameter(weight.detach(), requires_grad=False) for weight in module.parameters()
    }
    copy: torch.nn.Module = reparameterize_model(deepcopy(module, shared), inplace=True)
    same: list[Any] = [part for part in copy.modules() if type(part) is Conv2dSame]
    for part in same:
        part.__class__ = Conv2dSameExport  # the same convolution; it remembers its padding from the first forward
        part.pad, part.pad_input_size = None, (0, 0)
    for part in copy.modules():
        if getattr(part, "fused_attn", False):
            part.fused_attn = False  # type: ignore[assignment]
    return copy.eval()


def _slimmed(folder: Path) -> float | None:
    """Make ``model.onnx`` of the traced file, with shape arithmetic folded; its 10⁹ multiply-accumulates."""
    from export.convert.slimming import slimmed

    traced = folder / TRACED
    original = external.load(traced)
    if not external.is_open(original) and traced.stat().st_size > external.LARGEST:
        external.save(original, traced)
        original = external.load(traced)
    return _kept(slimmed(original), folder)


def _differs(spec: PreprocessSpec, folder: Path) -> bool:
    """Whether ``model.onnx`` computes something else than the traced file does.

    onnxslim has been seen to fold an integer division wrongly.
    """
    import numpy as np

    from export.convert.verify import session

    example = _example(spec).numpy()
    before, after = (session(folder / f).run(None, {INPUT: example})[0] for f in (TRACED, ONNX))
    return not np.allclose(before, after, rtol=1e-3, atol=1e-3 * float(np.abs(before).max()))


def _as_traced(backbone: Backbone, folder: Path, say: Callable[[str], None]) -> float | None:
    """Make ``model.onnx`` of the traced file as it is; its 10⁹ multiply-accumulates."""
    say(f"{backbone.name}: simplification changed the result, so the file is kept as traced")
    return _kept(external.load(folder / TRACED), folder)


def _kept(model: onnx.ModelProto, folder: Path) -> float | None:
    from export.convert.counting import gmacs

    model.producer_name, model.producer_version = "backbones-deployed", ""
    external.check(model)
    external.save(model, folder / ONNX)
    return gmacs(model)


@contextmanager
def _quiet() -> Iterator[None]:
    """Nothing of the exporter's progress on stdout or stderr; errors come as exceptions."""
    import logging

    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
            yield
    finally:
        logger.setLevel(level)

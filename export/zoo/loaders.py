"""Makes the eager module of a backbone: architecture, weights, and the preprocessing that belongs to them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from export.artifact import Artifact
from export.errors import CellError, UserError, first_line, unknown
from export.registry import load_target
from export.spec import PreprocessSpec
from export.store import Store
from export.zoo import checkpoint, diffusion_checkpoint, placing, weights
from export.zoo.backbones import Backbone
from export.zoo.depths import cut
from export.zoo.inputs import fitting, preprocess
from export.zoo.placing import Placed
from export.zoo.readers import (
    ByLayout,
    ByName,
    InOrder,
    KerasInOrder,
    OnnxVisionTransformer,
    Reader,
    StableDiffusion,
    TensorFlowMobileNetV1,
)
from export.zoo.sources import DEFAULTS, Checkpoint, LocalFile, ModuleFunction, OnnxFile, TimmCheckpoint, TimmModel
from export.zoo.timm_models import conversion, conversions, created

if TYPE_CHECKING:
    import torch


_LOADING_SEED = 20231030
"""Seed of the module that a checkpoint is loaded into: what still has these values afterwards was not in it."""


@dataclass(frozen=True)
class Loaded:
    """An eager backbone.

    Attributes:
        module: in eval mode; float32 [n, 3, height, width] → features [n, d] (or logits).
        preprocess: how its input is made.
        notes: what was done to its checkpoint, and what of it is not used.
    """

    module: torch.nn.Module
    preprocess: PreprocessSpec
    notes: tuple[str, ...] = ()


def eager(backbone: Backbone, store: Store) -> Loaded:
    """The backbone as a PyTorch module with its weights loaded. The global random state and ``sys.path`` stay as they
    were.

    Raises:
        UserError: the architecture is unknown, or the checkpoint is damaged, unsafe or of another architecture.
        Unavailable: the weights cannot be fetched.
    """
    source = backbone.source
    if isinstance(source, OnnxFile):
        raise UserError(f"{backbone.name!r} is a finished ONNX file: it has no PyTorch module.")
    file = weights.fetch(backbone, store)
    made = _timm(backbone, source, file) if isinstance(source, TimmModel) else custom(backbone, source, file)
    module, placed = made
    spec = preprocess(backbone, module)
    module = module.eval().requires_grad_(False)
    if backbone.depth:
        if backbone.output == "logits":
            raise UserError(f"{backbone.name!r} gives logits.", "Before its end it has none.", "leave out the depth")
        module = cut(backbone.name, module, backbone.depth)
    return Loaded(module, spec, placed.notes if placed else ())


def eager_of(artifact: Artifact, store: Store) -> torch.nn.Module:
    """The eager twin of an artifact, for the reference engine.

    Raises:
        UserError: the artifact came from a finished ONNX file, or its backbone is no longer to be found.
    """
    if not artifact.source.get("request"):
        raise UserError(f"{artifact.backbone!r} is a finished ONNX file: it has no PyTorch module.")
    return eager(Backbone.of_json(artifact.source["request"]), store).module


_Filled = tuple["torch.nn.Module", Placed | None]
"""A module, and what became of the tensors of its checkpoint where it has one."""


def _timm(backbone: Backbone, source: TimmModel, file: Path | None) -> _Filled:
    from export.torchvision_ops import import_timm

    timm = import_timm()
    architecture = source.architecture
    if not timm.is_model(architecture):
        raise unknown("timm architecture", architecture, timm.list_models(), "bob export --list")
    headed = backbone.output == "logits"
    if headed and not source.classes:
        raise UserError(f"The checkpoint of {backbone.name!r} has no classifier.")
    name = source.id if source.id in timm.list_pretrained(architecture + ".*") else architecture

    arguments = dict(source.arguments)

    def made(seed: int, classes: int, pretrained: bool = False) -> torch.nn.Module:
        with _seeded(seed):
            try:
                made = created(name, num_classes=classes, pretrained=pretrained, **arguments)
            except (AssertionError, RuntimeError, TypeError, ValueError) as error:
                if "img_size" not in arguments:
                    raise
                asked = "x".join(map(str, arguments["img_size"]))
                raise CellError(f"{backbone.name!r} cannot take an input of {asked}.", first_line(error)) from error
            return made

    if backbone.size:
        plain = made(_LOADING_SEED, 0)
        config: Any = plain.pretrained_cfg
        if config.get("fixed_input_size") or "img_size" in arguments:
            arguments["img_size"] = fitting(backbone, plain)

    classes = source.classes if headed else 0
    if file is None:
        return made(weights.SEED, classes), None
    if not isinstance(source.weights, Checkpoint):
        with conversions() as filters:
            module = made(_LOADING_SEED, classes, pretrained=True)
        contents = checkpoint.read(file)
        _require_classes(source, module, contents)
        prefix = source.weights.prefix if isinstance(source.weights, TimmCheckpoint) else ""
        return module, placing.by_name(module, contents, prefix, backbone.name, conversion(module, filters, headed))
    reader = source.weights.reader
    own = isinstance(source.weights.file, LocalFile)
    if isinstance(reader, ByLayout):
        with conversions() as filters:
            module = made(_LOADING_SEED, classes, pretrained=True)
        convert = conversion(module, filters, headed)
        return module, placing.by_layout(
            module, checkpoint.read(file), reader.layouts, backbone.name, convert, tolerant=own
        )
    by_name = isinstance(reader, ByName | OnnxVisionTransformer)
    module = made(_LOADING_SEED, classes if by_name else source.classes)
    placed = _fill(module, reader, file, backbone.name, own)
    if source.classes and not headed:
        module.reset_classifier(0)  # type: ignore[operator]
    return module, placed


def _require_classes(source: TimmModel, module: torch.nn.Module, contents: checkpoint.Contents) -> None:
    """Compare the classes that a row names with the checkpoint's classifier."""
    config: Any = getattr(module, "pretrained_cfg", {})
    name = config.get("classifier")
    if source.classes in (0, DEFAULTS["classes"]) or not isinstance(name, str):
        return
    for place, tensor in contents.tensors.items():
        if place == f"{name}.weight" or place.endswith(f".{name}.weight"):
            if tensor.shape[0] == source.classes:
                return
            raise UserError(
                f"The classifier of {contents.file} has {tensor.shape[0]} classes, not {source.classes}.",
                f"The row says classes: {source.classes}; {place} says otherwise.",
                "correct or leave out classes",
            )


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Draw from ``seed`` on the processor, and give the random state back; other devices draw nothing here."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


def _fill(module: torch.nn.Module, reader: Reader, file: Path, what: str, own: bool) -> Placed:
    """``own``: a file of the user's, which may be of another layout than the published one."""
    match reader:
        case ByLayout(layouts):
            return placing.by_layout(module, checkpoint.read(file), layouts, what, tolerant=own)
        case ByName(prefix):
            return placing.by_name(module, checkpoint.read(file), prefix, what)
        case OnnxVisionTransformer():
            return placing.by_name(module, checkpoint.onnx_vision_transformer(file, module), "", what)
        case InOrder():
            return placing.in_order(module, checkpoint.read(file), what)
        case TensorFlowMobileNetV1():
            return placing.in_order(module, checkpoint.tensorflow_mobilenetv1(file), what)
        case KerasInOrder():
            return placing.in_order(module, checkpoint.keras(file), what)
        case StableDiffusion():
            return placing.by_name(module, diffusion_checkpoint.contents(file, module, what), "", what)


def custom(backbone: Backbone, source: ModuleFunction, file: Path | None) -> _Filled:
    """The module that a function makes, and what of ``file`` found its place in it."""
    import torch

    with _seeded(weights.SEED), _working_folder_on_path():
        factory = load_target(source.target, "backbone")
        if not callable(factory):
            raise UserError(f"{source.target} is not a function that returns a torch.nn.Module.")
        module = factory(**source.arguments)
    if not isinstance(module, torch.nn.Module):
        raise UserError(f"{source.target} returned a {type(module).__name__}, not a torch.nn.Module.")
    reset = getattr(module, "reset_classifier", None)
    if backbone.output == "logits" and not reset:
        raise UserError(f"The classifier of {backbone.name!r} cannot be found.", "Its module has no reset_classifier.")
    reader = source.weights.reader if isinstance(source.weights, Checkpoint) else None
    headless = backbone.output == "features" and reset is not None
    own = isinstance(source.weights, Checkpoint) and isinstance(source.weights.file, LocalFile)
    first = isinstance(
        reader, ByName | ByLayout
    )  # a classifier of other classes is no obstacle then; in order, all are needed
    if headless and first:
        module.reset_classifier(0)  # type: ignore[operator]
    placed = _fill(module, reader, file, backbone.name, own) if file is not None and reader else None
    if headless and not first:
        module.reset_classifier(0)  # type: ignore[operator]
    return module, placed


@contextmanager
def _working_folder_on_path() -> Iterator[None]:
    """Import from the working folder, as ``python -m`` does and a console script does not.

    Around the import of the user's module and the call of its function, so that what the function imports is found too.
    What it imports later still, when the network runs, has to be on Python's own path.
    """
    here = str(Path.cwd())
    if here in sys.path:
        yield
        return
    sys.path.insert(0, here)
    try:
        yield
    finally:
        if here in sys.path:  # the user's module may have taken it out
            sys.path.remove(here)

"""The networks of the zoo, each once: rows that differ in their weights alone share one.

What an engine takes, and what an export computes, is a fact about the network. So these checks need no weights: they
are random.
"""

from __future__ import annotations

from dataclasses import dataclass

from export.store import key
from export.zoo.backbones import RANDOM, Backbone, listing, resolve
from export.zoo.sources import ModuleFunction, OnnxFile


@dataclass(frozen=True)
class Architecture:
    """One network: the backbone that stands for it, and the rows of the zoo that share it.

    Attributes:
        backbone: with random weights; a module that brings its own, or a finished ONNX file, as it is.
        name: timm's name of it, else the first row's. input: "HEIGHTxWIDTH", empty where only its code knows.
    """

    backbone: Backbone
    name: str
    input: str
    rows: tuple[str, ...]

    @property
    def kind(self) -> str:
        """What it is a size of: timm's file that defines it, else its own name."""
        if not self.backbone.timm:
            return self.name
        from export.torchvision_ops import import_timm

        entry = import_timm().model_entrypoint(self.backbone.timm.split(".")[0])
        return str(entry.__module__.rpartition(".")[2])


def architectures(models: str) -> list[Architecture]:
    """Those of the zoo (``all``), or of the names given (``a,b``), each once, in the order of the rows.

    Raises:
        UserError: an unknown name.
    """
    if models == "all":
        names = [row.name for row in listing()]
    else:
        names = [name.strip().removesuffix(RANDOM) for name in models.split(",")]
    found: dict[str, tuple[Backbone, str, str, list[str]]] = {}
    for name in names:
        own = resolve(name)
        backbone = resolve(f"{name}{RANDOM}") if not own.untrained and not isinstance(own.source, OnnxFile) else own
        label, size = own.timm.split(".")[0] or own.name, _input(own)
        made = own.source.target if isinstance(own.source, ModuleFunction) else label
        shared = key("architecture", name=made, size=size, arguments=dict(own.arguments), output=own.output)
        found.setdefault(shared, (backbone, label, size, []))[3].append(own.name)
    return [Architecture(backbone, label, size, tuple(rows)) for backbone, label, size, rows in found.values()]


def _input(backbone: Backbone) -> str:
    if {"height", "width"} <= set(backbone.preprocess):
        return f"{backbone.preprocess['height']}x{backbone.preprocess['width']}"
    if not backbone.timm:
        return ""
    from export.torchvision_ops import import_timm

    size = import_timm().get_pretrained_cfg(backbone.timm).input_size
    return f"{size[1]}x{size[2]}"

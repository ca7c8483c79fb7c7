"""The engine inspector's JSON → where each layer runs, in which precision, by which kernel.

The form is the documented one of TensorRT 10 and 11 (detailed profiling verbosity); what 11 changed is not read here.
What the RTX builder says of its layers is the same, and that was seen; the inspector itself needs a GPU, and was not
seen on one yet.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from engines.base import Layer, Placement

WORDS = {
    "fp8": ("FP8", "FP8E4M3", "E4M3"),
    "int8": ("Int8", "INT8"),
    "bf16": ("BFloat16", "BF16"),
    "fp16": ("Half", "FP16"),
    "fp32": ("Float", "FP32"),
}
"""Precision → what the inspector calls it; the narrowest first."""
OLD_FORM = re.compile(r"\b(FP8E4M3|FP8|INT8|BF16|BFloat16|FP16|FP32|Half|Float|Int8)\b", re.IGNORECASE)
OTHER = "other"
"""Layers that only move, count or look up: no floating-point or quantised value goes in or out."""


def placement(inspection: Mapping[str, Any], provider: str) -> Placement:
    """Layers per device and precision.

    A layer's precision is the narrowest type that it reads, weights included: an int8 convolution that writes fp16 is
    int8. Layers of all profiles are counted.

    Args:
        inspection: ``{"Layers": [{"Name", "LayerType", "Inputs", "Outputs", "TacticName", …}, …]}``. Where a plan was
            built without detailed profiling, layers are bare names.
        provider: what was asked for.
    """
    given = inspection.get("Layers", [])
    if not given:
        return Placement(provider, note="the plan does not report its layers")
    if not all(isinstance(layer, Mapping) for layer in given):
        return Placement(provider, {"gpu": len(given)}, note="the plan was built without detailed profiling")
    layers = tuple(_layer(layer) for layer in given)
    devices = Counter("dla" if "dla" in layer.kind.lower() else "gpu" for layer in layers)
    return Placement(provider, dict(devices), dict(Counter(layer.precision for layer in layers)), layers=layers)


def _layer(given: Mapping[str, Any]) -> Layer:
    tactic = given.get("TacticName") or given.get("TacticValue") or ""
    read = [*given.get("Inputs", []), *given.get("Constants", [])]
    precision = _narrowest(read) or _narrowest(given.get("Outputs", [])) or OTHER
    return Layer(str(given.get("Name", "")), str(given.get("LayerType", "")), precision, str(tactic))


def _narrowest(tensors: Sequence[Mapping[str, Any]]) -> str:
    found = {_word(tensor) for tensor in tensors}
    return next((precision for precision, words in WORDS.items() if found & {w.lower() for w in words}), "")


def _word(tensor: Mapping[str, Any]) -> str:
    """``Datatype``, which TensorRT 11 may spell ``DataType``; before 10 it stood in "Row major linear FP16 format"."""
    for name in ("Datatype", "DataType"):
        if name in tensor:
            return str(tensor[name]).lower()
    found = OLD_FORM.search(str(tensor.get("Format/Datatype", "")))
    return found[0].lower() if found else ""

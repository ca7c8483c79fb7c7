"""Checkpoints drawn at random: what is whole computes what it should, and every tensor is used or named.

One that is damaged computes something finite, or is refused with a sentence.
"""

from __future__ import annotations

import argparse
import datetime
import io
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from checkpoints import RESNET, VIT, backbone, images, network, one_thread, state
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save

from export.errors import UserError
from export.store import Store
from export.zoo import checkpoint, placing
from export.zoo.loaders import eager
from export.zoo.readers import ByName, InOrder, Reader
from fuzz import CASES

__all__ = ["one_thread"]

AVERAGES, PLAIN, TRAINED = ("state_dict_ema", "model_ema", "ema"), ("state_dict", "model", "net"), ("student",)
"""Which of two networks is used: of an earlier group rather than of a later one."""
WORDS = st.sampled_from([*PLAIN, "module", "backbone", "encoder", "model.net", "weights"]) | st.text(
    "abcXYZ_-0é ", min_size=1, max_size=6
)
BESIDE: dict[str, Any] = {
    "epoch": 3,
    "args": argparse.Namespace(lr=0.1),
    "best_acc": np.float64(71.2),
    "date": datetime.date(2026, 1, 2),
    "optimizer": {"state": {0: {"exp_avg": torch.ones(2, 2), "step": torch.tensor(3.0)}}, "param_groups": [{"lr": 1}]},
    "queue": torch.ones(4, 8),
    "callbacks": [{"best": Path("a/b")}],
}
CASTS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
KINDS = ("archive", "legacy", "safetensors")


@dataclass
class Case:
    """A checkpoint and what must come of it.

    Attributes:
        cast: the type that its floating-point tensors have.
        content: what is saved. beside: names on its first level that are no part of the network.
        raw: the file's bytes, where they are not what saving gives.
    """

    name: str
    cast: torch.dtype
    content: Any = field(repr=False)
    beside: tuple[str, ...]
    kind: str
    reader: Reader | None
    prefix: str
    raw: bytes = field(default=b"", repr=False)
    levels: str = field(init=False)

    def __post_init__(self) -> None:
        names = [name for name, _ in _flat(self.content)]
        self.levels = f"{list(self.content)[:5]}, {names[:2]}, {names[-2:]}"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))  # and not its tensors


@st.composite
def cases(draw: st.DrawFn) -> Case:
    name = draw(st.sampled_from([RESNET, VIT]))
    cast = draw(st.sampled_from(CASTS))
    tensors = {k: v.to(cast) if v.is_floating_point() else v for k, v in state(name).items()}
    if draw(st.booleans()):
        tensors = {k: v for k, v in tensors.items() if not k.endswith("num_batches_tracked")}
    classifier = draw(st.sampled_from(["whole", "absent", "other"]))
    head = "fc" if name == RESNET else "head"
    if classifier == "absent":
        tensors = {k: v for k, v in tensors.items() if not k.startswith(f"{head}.")}
    elif classifier == "other":
        tensors |= {f"{head}.weight": torch.ones(7, 3), f"{head}.bias": torch.ones(7)}
    reader: Reader | None = draw(st.sampled_from([None, None, ByName()]))
    if classifier == "whole" and draw(st.booleans()) and draw(st.booleans()):
        reader = InOrder()
        named = [v for k, v in tensors.items() if not k.endswith("num_batches_tracked")]
        tensors = {f"t{i}": v for i, v in enumerate(named)}
    elif draw(st.booleans()):
        part = draw(st.sampled_from(sorted({k.split(".")[0] for k in tensors if "." in k})))
        tensors = {
            k.replace(f"{part}.", f"{part}._orig_mod.", 1) if k.startswith(part) else k: v for k, v in tensors.items()
        }
    prefix = "".join(f"{word}." for word in draw(st.lists(WORDS, max_size=2)))
    content: Any = OrderedDict((prefix + k, v) for k, v in tensors.items())
    kind = draw(st.sampled_from(KINDS if not isinstance(reader, InOrder) else KINDS[:2]))
    beside = tuple(draw(st.lists(st.sampled_from(sorted(BESIDE)), unique=True, max_size=4)))
    if kind == "safetensors":
        beside = tuple(one for one in beside if one == "queue")
        return Case(name, cast, content | {one: BESIDE[one] for one in beside}, beside, kind, reader, "")
    for word in draw(st.lists(WORDS, max_size=2)):
        content = {word: content}
    if draw(st.booleans()):
        groups = draw(st.sampled_from([(AVERAGES, PLAIN), (PLAIN, TRAINED), (("teacher",), TRAINED)]))
        mine, other = (draw(st.sampled_from(group)) for group in groups)
        both = [(mine, content), (other, state(name, seed=9))]
        content = dict(reversed(both) if draw(st.booleans()) else both)
        beside = (*beside, other)
        asked = ""
        if isinstance(reader, InOrder):
            content[other] = {"x": torch.ones(1)}
        elif _rank(prefix) or any(_rank(word) for word in _words(content[mine])):
            content[other] = {"x": torch.ones(1)}  # which of them is meant would depend on the words inside
    elif beside and not isinstance(content, OrderedDict):
        pass
    elif beside:
        content = {"weights of mine": content}
    asked = ""
    if not isinstance(reader, InOrder) and prefix and draw(st.booleans()):
        asked = prefix
        reader = ByName(prefix) if reader else None
    return Case(name, cast, {**content, **{k: BESIDE[k] for k in beside if k in BESIDE}}, beside, kind, reader, asked)


def _words(content: Any) -> list[str]:
    return [k for k in content if isinstance(content[k], Mapping)] if isinstance(content, Mapping) else []


def _rank(word: str) -> bool:
    return any(part in {*AVERAGES, *TRAINED, "teacher"} for part in word.split("."))


def raw(case: Case) -> bytes:
    if case.kind == "safetensors":
        return save({k: v.contiguous() for k, v in case.content.items()})
    file = io.BytesIO()
    torch.save(case.content, file, _use_new_zipfile_serialization=case.kind == "archive")
    return file.getvalue()


@cache
def computed(name: str, cast: torch.dtype) -> torch.Tensor:
    """What the network gives with tensors of a type, before its classifier: by another way than the tested one."""
    module: Any = network(name, seed=4)
    module.load_state_dict({k: v.to(cast) if v.is_floating_point() else v for k, v in state(name).items()})
    with torch.inference_mode():
        found: torch.Tensor = module.forward_head(module.forward_features(images()), pre_logits=True)
    return found


@settings(max_examples=CASES, suppress_health_check=list(HealthCheck))
@given(cases())
def test_a_whole_checkpoint_computes_what_it_should_and_all_of_it_is_accounted_for(case: Case) -> None:
    with TemporaryDirectory() as folder:
        file = Path(folder, "model_best.pth")
        file.write_bytes(raw(case))
        store = Store(Path(folder, "store"), lambda line: None)
        loaded = eager(backbone(file, case.reader, case.name, case.prefix), store)
        contents = checkpoint.read(file)
    with torch.inference_mode():
        torch.testing.assert_close(loaded.module(images()), computed(case.name, case.cast))
    said = "; ".join(loaded.notes)
    for name in case.beside:
        assert name in said
    if not isinstance(case.reader, InOrder):
        placed = placing.by_name(loaded.module, contents, case.prefix, "a test")
        assert sorted([*placed.used, *placed.left_out]) == sorted(contents.tensors)


def _flat(content: Any) -> list[tuple[str, Any]]:
    if not isinstance(content, Mapping):
        return []
    inside = [item for value in content.values() for item in _flat(value)]
    return [(str(k), v) for k, v in content.items() if isinstance(v, torch.Tensor)] + inside


@st.composite
def damaged(draw: st.DrawFn) -> Case:
    case = draw(cases())
    flat: Any = case.content
    while isinstance(flat, Mapping) and not any(isinstance(v, torch.Tensor) for v in flat.values()):
        inside = [v for v in flat.values() if isinstance(v, Mapping)]
        if not inside:
            break
        flat = inside[0]
    names = [k for k, v in flat.items() if isinstance(v, torch.Tensor) and v.is_floating_point()]
    for key in draw(st.lists(st.sampled_from(names), max_size=3)) if names else []:
        value = flat.get(key)
        if not isinstance(value, torch.Tensor) or not value.is_floating_point():
            continue
        change = draw(st.sampled_from(["drop", "shape", "nan", "int8", "complex", "name", "text", "scalar", "empty"]))
        if change in ("drop", "name"):
            del flat[key]
        flat |= {
            "drop": {},
            "shape": {key: value[:1]} if value.ndim else {},
            "nan": {key: value * torch.nan},
            "int8": {key: value.to(torch.int8)},
            "complex": {key: value.to(torch.complex64)},
            "name": {f"{key}x": value},
            "text": {key: "text"} if case.kind != "safetensors" else {},
            "scalar": {key: value.sum()},
            "empty": {key: value.new_zeros(0)},
        }[change]
    content = bytearray(raw(case))
    for _ in range(draw(st.integers(0, 3))):
        # a file's length may differ from one saving to the next, and what is drawn must not
        at = draw(st.integers(0, 1 << 40) | st.integers(0, 4000)) % len(content)
        how = draw(st.sampled_from(["flip", "cut", "insert", "replace"]))
        if how == "flip":
            content[at] ^= 1 << draw(st.integers(0, 7))
        elif how == "cut":
            del content[at + 1 :]
        elif how == "insert":
            content[at:at] = draw(st.binary(min_size=1, max_size=9))
        else:
            content[at : at + 4] = draw(st.binary(min_size=4, max_size=4))
    return replace(case, raw=bytes(content))


@settings(max_examples=CASES, suppress_health_check=list(HealthCheck))
@given(damaged())
def test_a_damaged_checkpoint_computes_something_or_gets_a_sentence(case: Case) -> None:
    with TemporaryDirectory() as folder:
        file = Path(folder, "model_best.pth")
        file.write_bytes(case.raw)
        store = Store(Path(folder, "store"), lambda line: None)
        try:
            loaded = eager(backbone(file, case.reader, case.name, case.prefix), store)
        except UserError:
            return
    assert all(bool(v.isfinite().all()) for v in loaded.module.state_dict().values())

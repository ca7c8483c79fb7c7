from __future__ import annotations

import argparse
import collections
import datetime
import json
import os
import pathlib
import pickle
import types
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from checkpoints import state
from safetensors.torch import save_file

from export.errors import UserError
from export.zoo import checkpoint


def network() -> torch.nn.Sequential:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Flatten())


def save(content: Any, file: Path, legacy: bool = False) -> Path:
    torch.save(content, file, _use_new_zipfile_serialization=not legacy)
    return file


@pytest.mark.parametrize("ending", [".safetensors", ".pth", ".bin", ""])
@pytest.mark.parametrize("kind", ["archive", "legacy", "safetensors"])
def test_what_a_file_is_does_not_depend_on_its_ending(tmp_path: Path, kind: str, ending: str) -> None:
    wanted, file = network().state_dict(), tmp_path / f"net{ending}"
    if kind == "safetensors":
        save_file(wanted, file)
    else:
        save(wanted, file, legacy=kind == "legacy")
    found = checkpoint.read(file)
    assert set(found.tensors) == set(wanted)
    assert all(torch.equal(found.tensors[name], tensor) for name, tensor in wanted.items())
    assert (found.levels, found.others) == (("",), ())


class Settings:
    """A class of the user's, which is not looked up when a checkpoint is read."""

    def __init__(self) -> None:
        self.rate = 0.1


class Registry(dict[str, Any]):
    """A dictionary of the user's own class, as EasyDict is."""


class Lines(list[str]):
    pass


BESIDE = {
    "argparse.Namespace": argparse.Namespace(lr=0.1, out=pathlib.PurePosixPath("a/b")),
    "numpy._core.multiarray.scalar": np.float64(71.2),
    "datetime.datetime": datetime.datetime(2026, 1, 2),
    "pathlib.PurePosixPath": pathlib.PurePosixPath("a/b"),
    "types.SimpleNamespace": types.SimpleNamespace(a=1),
    f"{Settings.__module__}.Settings": Settings(),
    "a dictionary": Registry(lr=0.1),
    "a list": Lines(["a", "b"]),
    "a default dictionary": collections.defaultdict(list, a=[1]),
    "a deque": collections.deque([1, 2]),
    "a type": np.dtype("float32"),
    "a counter": collections.Counter("ab"),
}


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("what", BESIDE)
def test_what_stands_beside_the_tensors_is_named_and_does_not_hide_them(
    tmp_path: Path, what: str, legacy: bool
) -> None:
    wanted = network().state_dict()
    file = save({"state_dict": wanted, "extra": BESIDE[what], "epoch": 3}, tmp_path / "net.pth", legacy)
    found = checkpoint.read(file)
    assert {name.removeprefix("state_dict.") for name in found.tensors} == set(wanted)
    assert all(torch.equal(found.tensors[f"state_dict.{name}"], tensor) for name, tensor in wanted.items())
    assert found.levels[:2] == ("", "state_dict.")
    first, second = found.others
    assert first == "epoch"
    assert second == f"extra ({what})" if "." in what else second.startswith("extra")


def test_all_of_it_at_once_arrays_and_a_mapping_inside_itself(tmp_path: Path) -> None:
    inside: dict[str, Any] = {"weight": np.arange(6, dtype=np.float32).reshape(2, 3), "of": list(BESIDE.values())}
    inside["itself"] = inside
    found = checkpoint.read(save({"model": inside, "shadow": [torch.zeros(2), torch.ones(2)]}, tmp_path / "net.pth"))
    assert sorted(found.tensors) == ["model.weight", "shadow.0", "shadow.1"]
    np.testing.assert_array_equal(found.tensors["model.weight"], inside["weight"])


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {os.environ['EVIL']}",)


class Evaluated(Evil):
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return eval, ("open(__import__('os').environ['EVIL'], 'w')",)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize(("made", "name"), [(Evil, "posix.system"), (Evaluated, "builtins.eval")])
def test_a_pickle_that_wants_to_run_code_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, legacy: bool, made: type[Evil], name: str
) -> None:
    mark = tmp_path / "ran"
    monkeypatch.setenv("EVIL", str(mark))
    file = save({"state_dict": network().state_dict(), "extra": made()}, tmp_path / "evil.pth", legacy)
    with pytest.raises(UserError, match="would run code") as error:
        checkpoint.read(file)
    assert name in error.value.why
    assert not mark.exists()


def test_no_class_of_a_checkpoint_is_imported(tmp_path: Path) -> None:
    file = tmp_path / "net.pth"
    save({"model": network().state_dict(), "settings": Settings()}, file)
    before = Settings.__init__
    Settings.__setstate__ = before  # type: ignore[attr-defined]  # would fail: it takes no state
    try:
        assert checkpoint.read(file).others == (f"settings ({Settings.__module__}.Settings)",)
    finally:
        del Settings.__setstate__  # type: ignore[attr-defined]


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("wrapped", [False, True])
def test_a_pickled_module_is_called_by_its_class(tmp_path: Path, wrapped: bool, legacy: bool) -> None:
    module = network()
    content = {"epoch": 1, "model": module, "args": argparse.Namespace()} if wrapped else module
    with pytest.raises(
        UserError, match=r"holds a pickled module of the class torch.nn.modules.container.Sequential"
    ) as e:
        checkpoint.read(save(content, tmp_path / "net.pth", legacy))
    assert "state_dict()" in e.value.remedy


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"epoch": 1, "loss": 0.5}, "Its keys are epoch, loss"),
        ({}, "holds nothing"),
        ([1, 2], "holds a list"),
        ("text", "holds a str"),
        (None, "holds a NoneType"),
        (Settings(), "pickled object of the class"),
    ],
)
def test_a_file_without_tensors_gets_a_sentence(tmp_path: Path, content: Any, says: str) -> None:
    with pytest.raises(UserError, match=says):
        checkpoint.read(save(content, tmp_path / "net.pth"))


def test_a_key_that_is_called_as_a_pickled_module_is_marked(tmp_path: Path) -> None:
    """Before PyTorch 1.6 the word stood before the class of a module."""
    content = {"module": collections.OrderedDict(network().state_dict())}
    assert "module.0.weight" in checkpoint.read(save(content, tmp_path / "net.pth", legacy=True)).tensors


def test_two_tensors_of_one_name_are_refused(tmp_path: Path) -> None:
    tensors = {"a": {"b": torch.zeros(1)}, "a.b": torch.ones(1)}
    with pytest.raises(UserError, match=r"two tensors named 'a\.b'"):
        checkpoint.read(save(tensors, tmp_path / "net.pth"))


@pytest.mark.parametrize("protocol", [3, 4])
def test_a_newer_pickle_protocol_gets_a_sentence(tmp_path: Path, protocol: int) -> None:
    torch.save(network().state_dict(), tmp_path / "net.pth", pickle_protocol=protocol)
    with pytest.raises(UserError, match=f"saved with pickle protocol {protocol}"):
        checkpoint.read(tmp_path / "net.pth")


@pytest.mark.parametrize("kind", ["safetensors", "archive", "legacy"])
@pytest.mark.parametrize("keep", [0, 10, 0.5, 0.99])
def test_a_truncated_checkpoint_gets_a_sentence(tmp_path: Path, kind: str, keep: float) -> None:
    file = tmp_path / "net.pth"
    tensors = {k: v for k, v in state().items() if k.startswith(("conv1", "layer1"))}
    save_file(tensors, file) if kind == "safetensors" else save(tensors, file, kind == "legacy")
    raw = file.read_bytes()
    file.write_bytes(raw[: int(keep if keep > 1 else keep * len(raw))])
    with pytest.raises(UserError, match="damaged or truncated" if keep != 10 or kind != "legacy" else "plain pickle"):
        checkpoint.read(file)


def scripted(file: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.trace(network(), torch.zeros(1, 3, 8, 8)), file)  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (scripted, "is TorchScript"),
        (lambda file: file.write_bytes(pickle.dumps({"a": np.zeros(2)})), "is a plain pickle"),
        (
            lambda file: file.write_text(json.dumps({"weight_map": {"a": "b"}})),
            "index of a checkpoint",
        ),
    ],
)
def test_other_files_are_called_what_they_are(tmp_path: Path, make: Callable[[Path], object], says: str) -> None:
    make(tmp_path / "net.pth")
    with pytest.raises(UserError, match=f"{says}.*and not a PyTorch checkpoint") as error:
        checkpoint.read(tmp_path / "net.pth")
    assert error.value.remedy

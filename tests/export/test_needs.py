"""Disk and memory that are too small: a sentence with the figures, before any work."""

from __future__ import annotations

import shutil
from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from export.convert.onnx_from_torch import artifact
from export.errors import CellError, OutOfSpace
from export.needs import require_disk, require_memory
from export.store import Store
from export.zoo import loaders
from export.zoo.backbones import resolve
from export.zoo.loaders import eager
from export.zoo.unloaded import bytes_of, weight_bytes

GB = 10**9
Usage = namedtuple("Usage", "total used free")


def test_a_disk_that_is_too_small_is_said_with_what_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(9 * GB, 6 * GB, 3 * GB))
    require_disk("it", 3 * GB, tmp_path)
    with pytest.raises(OutOfSpace, match=r"about 6\.8 GB in the store, .*; 3\.0 GB are free\.\nTry: .*--store DIR"):
        require_disk("it", 6.8 * GB, tmp_path)


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """8 GB of memory, 3 of them free, and 2 GB of swap, 1 of them free."""
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(total=8 * GB, available=3 * GB))
    monkeypatch.setattr(psutil, "swap_memory", lambda: SimpleNamespace(total=2 * GB, free=GB))


def test_memory_that_others_use_is_a_warning_and_more_than_all_is_refused(memory: None) -> None:
    said: list[str] = []
    require_memory("the export", 4 * GB, said.append)
    assert not said
    require_memory("the export", 5 * GB, said.append)
    assert said == [
        "warning: the export takes about 5.0 GB of memory, of which 4.0 GB are free; it may be stopped by the system"
    ]
    with pytest.raises(CellError, match=r"about 10\.5 GB; this machine has 10\.0 GB, swap included"):
        require_memory("the export", 10.5 * GB, said.append)


def test_the_bytes_of_a_network_are_known_before_it_is_made(store: Store) -> None:
    backbone = resolve("test_vit.r160_in1k@random")
    assert weight_bytes(backbone) == bytes_of(eager(backbone, store).module) > 10**5
    assert weight_bytes(resolve("nets:tiny")) == 0


@pytest.mark.parametrize("name", ["test_vit.r160_in1k@random", "nets:tiny"])
def test_nothing_is_made_of_a_network_that_does_not_fit(
    name: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(9 * GB, 9 * GB, 10**4))
    if name != "nets:tiny":
        monkeypatch.setattr(loaders, "eager", lambda backbone, store: pytest.fail("it was made"))
    with pytest.raises(OutOfSpace, match="Too little space is free for the export of"):
        artifact(resolve(name), store)
    assert not [path for path in (store.root / "onnx").iterdir() if path.is_dir()]

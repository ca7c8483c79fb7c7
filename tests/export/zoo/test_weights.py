from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from export.store import sha256_file
from export.zoo import weights
from export.zoo.backbones import resolve
from export.zoo.sources import PackageFile, TimmModel, file_of
from export.zoo.weights import identity


def test_checkpoints_of_one_name_have_different_identities(tmp_path: Path) -> None:
    found = set()
    for run in ("run1", "run2"):
        file = tmp_path / run / "best.pth"
        file.parent.mkdir()
        file.write_bytes(run.encode())
        backbone = resolve("vit_s", weights=file)
        assert identity(backbone) == hashlib.sha256(run.encode()).hexdigest()
        found.add((identity(backbone), identity(replace(backbone, name="another"))))
        file.unlink()
        assert identity(backbone) == ""
    assert len(found) == 2


def test_an_identity_needs_no_download() -> None:
    packaged = resolve("mobilenetv2")
    file = file_of(packaged.source)
    assert isinstance(file, PackageFile)
    assert identity(packaged) == file.sha256
    hub = resolve("vit_b")
    assert isinstance(hub.source, TimmModel)
    assert identity(hub) == f"{hub.source.id}@main"
    assert identity(resolve("vit_b@random")) == ""


def test_a_file_is_hashed_once_as_long_as_it_does_not_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []

    def counted(path: Path) -> str:
        read.append(path)
        return sha256_file(path)

    monkeypatch.setattr(weights, "sha256_file", counted)
    file = tmp_path / "best.pth"
    for content in (b"one", b"another"):
        file.write_bytes(content)
        assert {weights.sha256(file) for _ in range(3)} == {hashlib.sha256(content).hexdigest()}
    assert read == [file, file]

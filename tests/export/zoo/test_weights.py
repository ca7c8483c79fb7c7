from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

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

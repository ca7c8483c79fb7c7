from __future__ import annotations

import gc
from pathlib import Path

import pytest

from engines.trt.builder import Request, build
from engines.trt.flavour import RTX
from engines.trt.log import BuildLog, uncollected
from export.errors import CellError


@pytest.mark.parametrize("before", [True, False])
def test_no_collection_inside_and_as_it_was_afterwards(before: bool) -> None:
    was = gc.isenabled()
    (gc.enable if before else gc.disable)()
    try:
        with pytest.raises(ZeroDivisionError), uncollected():
            _ = 1 / gc.isenabled()
        assert gc.isenabled() == before
    finally:
        (gc.enable if was else gc.disable)()


def test_a_build_collects_nothing_while_the_library_speaks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real builder, and a file that it rejects."""
    seen: list[bool] = []
    monkeypatch.setattr(BuildLog, "write", lambda self, path: seen.append(gc.isenabled()))
    file = tmp_path / "model.onnx"
    file.write_bytes(b"no model")
    with pytest.raises(CellError):
        build(RTX, file, Request(targets=("8.6",)), tmp_path)
    assert seen == [False]
    assert gc.isenabled()

from __future__ import annotations

import pytest

from bench.sweep.cells import expand
from bench.sweep.spec import read
from export.store import Store


@pytest.mark.parametrize("engines", [("ort",), ("ort", "null")])
def test_the_baseline_is_added_once(engines: tuple[str, ...], store: Store) -> None:
    spec = read(models=("test_resnet.r160_in1k@random",), engines=engines, data=("toy",))
    assert [str(cell.engine.spec) for cell in expand(spec, store)] == ["ort:cpu", "null:cpu"]

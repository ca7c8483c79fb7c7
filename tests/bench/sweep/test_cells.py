from __future__ import annotations

import pytest

from bench.sweep.cells import expand
from bench.sweep.spec import read
from export.errors import UserError
from export.store import Store


@pytest.mark.parametrize("engines", [("ort",), ("ort", "null")])
def test_the_baseline_is_added_once(engines: tuple[str, ...], store: Store) -> None:
    spec = read(models=("test_resnet.r160_in1k@random",), engines=engines, data=("toy",))
    assert [str(cell.engine.spec) for cell in expand(spec, store)] == ["ort:cpu", "null:cpu"]


def matrix(store: Store, *exclude: str) -> list[str]:
    models = ("test_resnet.r160_in1k@random", "test_vit.r160_in1k@random")
    spec = read(models=models, engines=("ort", "torch"), precisions=("fp32", "int8"), data=("toy",), exclude=exclude)
    return [" ".join((c.backbone.name, c.engine.name, c.precision)) for c in expand(spec, store) if c.engine.computes]


def test_all_backbones_of_a_precision_and_an_engine_come_before_the_next(store: Store) -> None:
    resnet, vit = "test_resnet.r160_in1k@random", "test_vit.r160_in1k@random"
    rest = ("ort fp32", "torch fp32", "ort int8", "torch int8")
    assert matrix(store) == [f"{model} {cell}" for cell in rest for model in (resnet, vit)]


def test_cells_are_left_out_by_the_words_that_name_them(store: Store) -> None:
    everything = matrix(store)
    assert matrix(store, "torch") == [c for c in everything if " torch " not in c]
    assert matrix(store, "int8 ort:cpu", "test_vit.r160_in1k@random torch") == [
        c for c in everything if not c.endswith("ort int8") and not c.startswith("test_vit.r160_in1k@random torch")
    ]


@pytest.mark.parametrize(("words", "what"), [("fp8", "no cell"), ("", "no cell"), ("trt int8", "no cell")])
def test_leaving_out_nothing_is_a_mistake(words: str, what: str, store: Store) -> None:
    with pytest.raises(UserError, match=f"leaves out {what}"):
        matrix(store, words)


def test_leaving_out_everything_is_a_mistake(store: Store) -> None:
    with pytest.raises(UserError, match="leaves out every cell"):
        matrix(store, "fp32", "int8")

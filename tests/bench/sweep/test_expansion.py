from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from fakes import dataset

from bench.measure.scenarios.catalog import scenario
from bench.sweep.assembly import largest
from bench.sweep.calibration import calibrated
from bench.sweep.cells import Planned
from bench.sweep.expansion import expand
from bench.sweep.spec import read
from engines import processor
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


def test_what_was_timed_without_a_wall_meter_is_timed_again_with_one_and_compared_with_it(store: Store) -> None:
    data, timed = dataset(), scenario("single_stream")

    def cell(meter: str) -> Planned:
        sweep = read(models=("test_resnet.r160_in1k@random",), engines=("ort",), precisions=("fp32",), meter=meter)
        return expand(sweep, store)[0]

    without, metered, other = cell(""), cell("a.csv"), cell("b.csv")
    assert without.timing_key(data, timed, "machine") != metered.timing_key(data, timed, "machine")
    assert metered.timing_key(data, timed, "machine") == other.timing_key(data, timed, "machine")
    assert without.timing_protocol(data, timed, "machine") == metered.timing_protocol(data, timed, "machine")


def test_turning_photographs_upright_moves_every_key_over_pixels_and_shows_in_the_cell(store: Store) -> None:
    data = dataset()

    def cells(path: str) -> list[Planned]:
        sweep = read(models=("test_resnet.r160_in1k@random",), engines=("ort",), precisions=("int8",), preprocess=path)
        return calibrated(expand(sweep, store), data)

    (stored, *_), (turned, *_) = cells("cpu"), cells("cpu:exif")
    assert (stored.cell.preprocess, turned.cell.preprocess) == ("cpu", "cpu:exif")
    assert stored.onnx_key != turned.onnx_key, "ranges are taken from the same pixels"
    timed = scenario("end_to_end")
    assert stored.feature_keys(data, ["features"]) != turned.feature_keys(data, ["features"])
    assert stored.timing_key(data, timed, "machine") != turned.timing_key(data, timed, "machine")
    assert stored.timing_protocol(data, timed, "machine") != turned.timing_protocol(data, timed, "machine")
    with pytest.raises(UserError, match="PATH:exif"):
        cells("cpu:upright")


@pytest.mark.parametrize(("words", "what"), [("fp8", "no cell"), ("", "no cell"), ("trt int8", "no cell")])
def test_leaving_out_nothing_is_a_mistake(words: str, what: str, store: Store) -> None:
    with pytest.raises(UserError, match=f"leaves out {what}"):
        matrix(store, words)


def test_leaving_out_everything_is_a_mistake(store: Store) -> None:
    with pytest.raises(UserError, match="leaves out every cell"):
        matrix(store, "fp32", "int8")


def test_every_size_and_depth_is_a_cell_and_the_baseline_is_one(store: Store) -> None:
    model = "test_resnet.r160_in1k@random"
    spec = read(models=(model,), engines=("ort",), size="64,96x128", depth="1,3", data=("toy",))
    cells = expand(spec, store)
    assert [c.cell.network for c in cells if c.engine.computes] == [
        f"{model} · {size} · depth {depth}" for size in ("64x64", "96x128") for depth in (1, 3)
    ]
    assert sum(not c.engine.computes for c in cells) == 1
    assert len({c.onnx_key for c in cells}) == 4
    assert largest(cells) == "96x128"
    spec = read(models=(model,), engines=("ort",), depth="all", data=("toy",))
    assert [c.cell.depth for c in expand(spec, store)[:-1]] == [1, 2, 3, 4, 0]


def test_a_size_and_a_depth_are_left_out_by_their_names_and_no_number_in_another_name_is_one(store: Store) -> None:
    spec = read(models=("nets:small", "test_vit2.r160_in1k@random"), engines=("ort",), data=("toy",))
    spec = replace(spec, size=("160x160", "160x96"), depth=("2", "all"))

    def left(*exclude: str) -> set[tuple[str, str, int]]:
        cells = [c.backbone for c in expand(replace(spec, exclude=exclude), store) if c.engine.computes]
        return {(b.name, b.size, b.depth) for b in cells}

    everything = left()
    assert left("160") == {b for b in everything if b[1] != "160x160"}, "a name with 160 in it stays"
    assert left("160x96 nets:small", "depth 2") == {
        b for b in everything if (b[0], b[1]) != ("nets:small", "160x96") and b[2] != 2
    }
    assert left("depth whole ort") == {b for b in everything if b[2]}
    for words in ("96", "depth", "depth 99", "r160_in1k", "2", "whole"):
        with pytest.raises(UserError, match="leaves out no cell"):
            left(words)


def test_the_checkpoint_s_own_size_is_no_name(store: Store) -> None:
    with pytest.raises(UserError, match="leaves out no cell"):
        matrix(store, "160")


def test_pinned_timings_have_the_cores_threads_and_stand_in_a_column_of_their_own(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processor, "allowed", lambda: frozenset(range(8)))
    monkeypatch.setattr(processor, "quota", lambda root: math.inf)
    data, timed = dataset(), scenario("single_stream")

    def keys(**given: Any) -> tuple[int, str, str, str]:
        cell = expand(read(models=("test_resnet.r160_in1k@random",), engines=("ort",), **given), store)[0]
        timing = cell.timing_key(data, timed, "machine")
        return cell.cell.threads, cell.plan_key, timing, cell.timing_protocol(data, timed, "machine")

    free, same, two, others = keys(), keys(threads=8), keys(pin="0-1"), keys(pin="0,2")
    assert free == same
    assert [found[0] for found in (free, two, others, keys(pin="0-3", threads=1))] == [8, 2, 2, 1]
    assert len({found[1] for found in (free, two, others)}) == 1, "the plan is the same"
    for place in (2, 3):
        assert len({found[place] for found in (free, keys(threads=2), two, others)}) == 4
    assert two == keys(pin="1,0")

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.measure.scenarios import catalog
from bench.records.parts import SCENARIOS
from bench.run import parser
from bench.sweep.spec import DEMO, PRECISIONS, SweepSpec, declared, parse, read
from export.errors import UserError
from export.spec import Precision


def test_the_demo_is_a_sweep() -> None:
    demo = read(DEMO)
    assert len(demo.models) >= 3
    assert len(demo.engines) == 2
    assert len(demo.tasks) == 4
    assert 1 in demo.batches


def test_a_file_overrides_the_demo_and_the_command_line_overrides_the_file(tmp_path: Path) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text("models: vit_s\nrepeats: 5\nbatches: [16]\n")
    spec = read(file, repeats=2, seed=None)
    assert spec.models == ("vit_s",)
    assert spec.repeats == 2
    assert spec.batches == (1, 16)
    assert spec.engines == read(DEMO).engines


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("modles: [a]", "models"),
        ("repeats: many", "repeats"),
        ("repeats: 0", "at least 1"),
        ("- a\n- b", "mapping"),
        ("a: [", "not YAML"),
        ("models: []", "names no models"),
        ("data: []", "names no data"),
        ("limit: 0", "limit"),
        ("size: [224, huge]", "size must be height x width"),
        ("size: 5", "size must be height x width"),
        ("size: [true]", "size"),
        ("depth: 0", "depth must be a whole number"),
        ("slo: 50ms", "not a bound on latency"),
        ("queue_ms: -1", "queue_ms"),
        ("bundle: 0", "bundle"),
        ("fps: [0]", "fps must be from 1 to 1000"),
        ("fps: []", "fps must be"),
        ("scenarios: soak\nsoak: 10s\nseconds: 4", "less than ten times seconds"),
        ("scenarios: soak\nsoak: '10'", "soak takes a time with its unit"),
    ],
)
def test_a_wrong_file_gets_a_sentence(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text(text)
    with pytest.raises(UserError, match=says):
        read(file)


def test_sizes_and_depths_are_lists_of_numbers_or_texts(tmp_path: Path) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text("size: [128, 352x480, 128x128]\ndepth: [2, all]\n")
    spec = read(file)
    assert (spec.size, spec.depth) == (("128x128", "352x480"), ("2", "all"))
    given = read(size="224,96x64", depth=3)
    assert (given.size, given.depth) == (("224x224", "96x64"), ("3",))
    assert (read().size, read().depth) == ((), ())


def test_what_keeps_the_demo_short_does_not_leak_into_ones_own_data(tmp_path: Path) -> None:
    assert read(DEMO).limit is not None
    own = read(data=("photos",))
    assert own.limit is None
    assert (own.seconds, own.repeats) == (SweepSpec.seconds, SweepSpec.repeats)
    assert read(models=("vit_s",)).limit == read(DEMO).limit
    assert read(data=("photos",), limit=50).limit == 50


def test_a_missing_file_gets_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        read(tmp_path / "none.yaml")


def test_a_single_text_stands_for_a_list_of_one() -> None:
    spec = parse({"models": "a", "engines": "b", "data": "c", "tasks": [], "scenarios": [], "batches": 4}, "here")
    assert spec == SweepSpec(("a",), ("b",), ("c",), (), (), batches=(1, 4))


def test_texts_are_taken_as_on_the_command_line() -> None:
    document = {"models": "a, b", "engines": "ort", "data": "a,b", "tasks": "none", "scenarios": None}
    spec = parse({**document, "batches": "8,2", "weights": ["a=a.pth"]}, "here")
    assert (spec.models, spec.data, spec.tasks, spec.scenarios) == (("a", "b"), ("a,b",), (), ())
    assert spec.batches == (1, 2, 8)
    assert spec.weights == {"a": "a.pth"}


def test_paths_are_taken_as_texts() -> None:
    given: dict[str, Any] = {"models": Path("a.onnx"), "data": [Path("b"), "c"], "weights": {"a.onnx": Path("d")}}
    spec = read(**given)
    assert (spec.models, spec.data, spec.weights) == (("a.onnx",), ("b", "c"), {"a.onnx": "d"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("engines", True),
        ("engines", 1.5),
        ("batches", "one"),
        ("weights", "a"),
        ("weights", ["a"]),
        ("seconds", "long"),
    ],
)
def test_a_value_of_a_wrong_type_gets_a_sentence(name: str, value: Any) -> None:
    with pytest.raises(UserError, match=name):
        read(**{name: value})


def test_a_field_has_one_name() -> None:
    with pytest.raises(UserError, match="Did you mean engines") as error:
        parse({"engine": "ort"}, "sweep.yaml")
    assert error.value.remedy == "correct sweep.yaml"


def test_every_field_is_an_option_with_its_help_and_default() -> None:
    help_text = "".join(parser().format_help().split())
    for one in declared():
        parts = f"--{one.name.replace('_', '-')} {one.option.metavar} {one.option.help}"
        assert "".join(f"{parts} ({one.default})".split() if one.default else parts.split()) in help_text
    defaults = {one.name: one.default for one in declared()}
    assert {defaults[name] for name in ("limit", "zoo", "weights")} == {""}
    assert {defaults[name] for name in ("models", "scenarios")} == {"the demo's"}
    assert [defaults[name] for name in ("precisions", "batches", "seconds", "index_size")] == [
        "fp32",
        "1,8",
        "4",
        "100000",
    ]


def test_what_the_command_line_leaves_out_is_left_to_the_sweep() -> None:
    assert not any(getattr(parser().parse_args([]), one.name) is not None for one in declared())


@pytest.mark.parametrize("name", ["model", "engine", "precision", "scenario", "corruption"])
def test_a_list_of_one_may_be_asked_for_in_the_singular(name: str) -> None:
    assert getattr(parser().parse_args([f"--{name}", "a"]), f"{name}s") == "a"


def test_names_for_completion_are_those_that_a_sweep_takes() -> None:
    assert set(SCENARIOS) == set(catalog.SCENARIOS)
    assert set(PRECISIONS) == set(map(str, Precision))


@pytest.mark.parametrize("pin", ["3,0-1,1", ["0-1", 3], ("0", "1", "3"), [0, 1, "3-3"]])
def test_cores_are_written_in_one_way_however_they_are_given(pin: Any) -> None:
    spec = read(pin=pin)
    assert (spec.pin, spec.cores) == (("0-1", "3"), (0, 1, 3))
    assert (read().pin, read().cores, read(pin=0).cores) == ((), (), (0,))


def test_what_names_no_cores_gets_a_sentence() -> None:
    with pytest.raises(UserError, match=r"'all' does not name cores\.\nTry: numbers and ranges: --pin 0-3"):
        read(pin="all")

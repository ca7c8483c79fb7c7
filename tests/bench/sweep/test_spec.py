from __future__ import annotations

from pathlib import Path

import pytest

from bench.sweep.spec import DEMO, SweepSpec, parse, read
from export.errors import UserError


def test_the_demo_is_a_sweep() -> None:
    demo = read(DEMO)
    assert len(demo.models) >= 5
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
    ],
)
def test_a_wrong_file_gets_a_sentence(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text(text)
    with pytest.raises(UserError, match=says):
        read(file)


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

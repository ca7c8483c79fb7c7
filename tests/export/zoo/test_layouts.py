from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from export.errors import UserError
from export.zoo.backbones import listing, resolve
from export.zoo.layouts import Layout, known, layout_of
from export.zoo.sources import row_of

NAMES = st.lists(st.text("ab.[0]1", min_size=1, max_size=6), unique=True, max_size=8)


@pytest.mark.parametrize("name", known())
def test_a_declared_layout_survives_a_manifest(name: str) -> None:
    layout = known()[name]
    assert layout_of(json.loads(json.dumps(layout.as_json())), "test") == layout


def test_every_declared_layout_is_used_by_a_row() -> None:
    used = {layout["name"] for row in listing() for layout in row_of(row.source)["layout"]}
    assert used == set(known())


@given(NAMES)
def test_every_name_is_in_one_place(names: list[str]) -> None:
    layout = Layout("x", keep="a", drop=("ab",), rename=(("b", "c"),))
    try:
        found = layout.arranged(names)
    except UserError:  # two of them become one
        assume(False)
    used = [name for theirs in found.of.values() for name in theirs]
    assert sorted([*used, *found.dropped, *found.strange]) == sorted(names)


def test_names_are_kept_dropped_renamed_and_joined_in_order() -> None:
    layout = Layout(
        "x",
        keep=r"model\.",
        drop=(r"optimizer\.", r"model\.head\."),
        rename=((r"^layer\.(\d)\.", r"blocks.\1."), (r"\.key$", ".qkv[1]"), (r"\.query$", ".qkv[0]"), (r"^2", "3")),
    )
    names = ["model.layer.0.key", "model.layer.0.query", "model.head.w", "optimizer.a", "other", "model.b"]
    found = layout.arranged(names)
    assert found.of == {"blocks.0.qkv": ("model.layer.0.query", "model.layer.0.key"), "b": ("model.b",)}
    assert (found.dropped, found.strange, found.gaps) == (("model.head.w", "optimizer.a"), ("other",), ())
    assert found.changed == 2
    assert layout.arranged(["model.layer.0.key"]).gaps == ("blocks.0.qkv",)


ROW = "- {name: x, timm: resnet18, headless: true, file: x.pth, layout: %s}"


@pytest.mark.parametrize(
    ("layout", "says"),
    [
        ("moco", "Unknown layout 'moco'(.|\n)*moco_v3"),
        ("{keeps: a}", "Unknown field of a layout 'keeps'"),
        ("{keep: [a]}", "The field keep (.|\\n)* must be a text"),
        ("{drop: a}", "The field drop (.|\\n)* must be a list of texts"),
        ("{rename: [[a, b, c]]}", r"must be a list of \[pattern, replacement\]"),
        ("{drop: ['(']}", "A pattern of the layout .* is not valid"),
        (r"{rename: [[a, '\1']]}", "names a group"),
        ("3", "The field layout (.|\\n)* must be a name or a mapping"),
        ("moco_v3, prefix: a.", "cannot have prefix"),
        ("moco_v3, reader: named", "cannot have reader"),
        ("moco_v3, url: 'https://example.org/x.pth'", "cannot have url"),
    ],
)
def test_a_wrong_layout_in_a_row_gets_a_sentence(layout: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "x.pth").write_bytes(b"x")
    zoo = tmp_path / "zoo.yaml"
    zoo.write_text(ROW % layout)
    with pytest.raises(UserError, match=f"(?s){says}"):
        resolve("x", zoo_files=[zoo])


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ("url: 'file:///etc/passwd'", "must begin with https"),
        ("url: 'https://example.org/x.pth', revision: v2", "cannot have revision"),
        ("sha256: abc", "cannot have sha256"),
        ("hub: a/b, sha256: abc", "cannot have sha256"),
    ],
)
def test_a_place_without_a_meaning_gets_a_sentence(fields: str, says: str, tmp_path: Path) -> None:
    zoo = tmp_path / "zoo.yaml"
    zoo.write_text(f"- {{name: x, timm: resnet18, {fields}}}")
    with pytest.raises(UserError, match=f"(?s){says}"):
        resolve("x", zoo_files=[zoo])


def test_a_layout_of_ones_own_in_a_row(tmp_path: Path) -> None:
    (tmp_path / "x.pth").write_bytes(b"x")
    zoo = tmp_path / "zoo.yaml"
    zoo.write_text(ROW % "{keep: 'net\\.', drop: ['ema\\.'], rename: [[a, b]]}")
    wanted: dict[str, Any] = {"name": "own", "keep": "net\\.", "drop": ["ema\\."], "rename": [["a", "b"]]}
    assert row_of(resolve("x", zoo_files=[zoo]).source)["layout"] == [wanted]

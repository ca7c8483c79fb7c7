from __future__ import annotations

import sys

import pytest

from export.errors import UserError
from export.registry import Registry, load_target


def test_listing_imports_nothing() -> None:
    sys.modules.pop("colorsys", None)
    table: Registry[object] = Registry("thing", {"a": "colorsys:rgb_to_hsv"}, "list")
    assert list(table) == ["a"]
    assert "a" in table
    assert "colorsys" not in sys.modules
    assert callable(table.get("a"))


def test_duplicates_are_refused() -> None:
    table: Registry[object] = Registry("thing", {"a": "x:y"}, "list")
    with pytest.raises(ValueError, match="twice"):
        table.add("a", "x:z")


def test_unknown_names_get_neighbours() -> None:
    table: Registry[object] = Registry("engine", {"openvino": "x:y"}, "python -m engines")
    with pytest.raises(UserError, match="openvino") as error:
        table.get("openvno")
    assert error.value.remedy == "python -m engines"


@pytest.mark.parametrize("target", ["nocolon", "no_such_module_here:x", "json:no_such_thing", ":x", "json:"])
def test_wrong_targets_get_a_sentence(target: str) -> None:
    with pytest.raises(UserError):
        load_target(target, "backbone")


def test_a_module_that_misses_another_is_no_wrong_name(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "needs_more.py").write_text("import no_such_library_at_all")  # type: ignore[operator]
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModuleNotFoundError, match="no_such_library_at_all"):
        load_target("needs_more:x", "backbone")

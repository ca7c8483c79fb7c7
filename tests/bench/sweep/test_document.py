from __future__ import annotations

import re
from typing import Any

import yaml
from project import ROOT

from bench.sweep.document import page
from bench.sweep.spec import declared, parse, read


def test_the_page_is_current() -> None:
    assert (ROOT / "docs" / "sweep.md").read_text() == page(), "make docs writes it"


def test_every_field_has_a_row() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (?:text|whole|number|list|mapping)", page(), re.MULTILINE)
    assert rows == [one.name for one in declared()]


def test_the_example_is_a_sweep() -> None:
    [example] = re.findall(r"```yaml\n(.*?)```", page(), re.DOTALL)
    document: dict[str, Any] = yaml.safe_load(example)
    assert parse({"scenarios": [], **document}, "the page").data == ("~/photos",)
    assert read(**document).precisions == ("fp32", "int8")

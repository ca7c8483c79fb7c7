from __future__ import annotations

from pathlib import Path

import pytest

from bench.figures import page
from bench.figures.crowd import crowd
from export.store import Store


def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "crowd", lambda: crowd(12, 10))
    monkeypatch.setattr(page, "REPEATS", 1)


def test_without_a_browser_only_ranking_is_measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few(monkeypatch)
    monkeypatch.setattr(page, "missing", lambda: "no Chromium")
    [ranking] = page.figures(Store(tmp_path), tmp_path)
    assert ranking.target == "≤ 5"
    assert "page: left out: no Chromium" in capsys.readouterr().err


@pytest.mark.browser
def test_with_one_the_page_is_opened_and_its_slider_moved(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    few(monkeypatch)
    monkeypatch.setattr(page, "STEPS", 3)
    _, opened, step = page.figures(Store(tmp_path), tmp_path)
    assert opened.value > 0
    assert 0 < step.spread[0] <= step.spread[1]

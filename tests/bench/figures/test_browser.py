from __future__ import annotations

import shutil

import pytest

from bench.figures import browser


def test_what_is_missing_is_named_with_the_package_that_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    there = {"chromium", browser.DRIVER}
    monkeypatch.setattr(browser, "find_spec", lambda name: object())
    monkeypatch.setattr(shutil, "which", lambda name: name if name in there else None)
    assert browser.missing() == ""
    there.remove(browser.DRIVER)
    assert "chromium-driver" in browser.missing()
    there.clear()
    assert browser.missing().startswith("no Chromium")
    monkeypatch.setattr(browser, "find_spec", lambda name: None)
    assert browser.missing() == "selenium is not installed"

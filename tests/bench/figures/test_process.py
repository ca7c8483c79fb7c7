from __future__ import annotations

import pytest

from bench.figures.process import timed
from export.errors import UserError


def test_progress_is_passed_on_and_results_are_not(capfd: pytest.CaptureFixture[str]) -> None:
    seconds, printed = timed("bench.run", "--help")
    assert 0 < seconds < 60
    assert printed.startswith("usage: bob run")
    assert capfd.readouterr() == ("", "")
    with pytest.raises(UserError, match=r"bench\.rank ended with exit code 2"):
        timed("bench.rank", "no such folder")
    out, errors = capfd.readouterr()
    assert out == ""
    assert "no such folder" in errors

from __future__ import annotations

import pytest

from bench.figures.start import seconds
from export.errors import UserError


def test_progress_is_passed_on_and_results_are_not(capfd: pytest.CaptureFixture[str]) -> None:
    assert 0 < seconds("bench.run", "--help") < 60
    assert capfd.readouterr() == ("", "")
    with pytest.raises(UserError, match=r"bench\.rank ended with exit code 2"):
        seconds("bench.rank", "no such folder")
    out, errors = capfd.readouterr()
    assert out == ""
    assert "no such folder" in errors

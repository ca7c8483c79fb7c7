"""A wall meter's CSV: every bad row gets a sentence."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from bench.measure.energy import meter
from bench.measure.energy.meter import Meter
from export.errors import UserError

AT = 1_764_381_600  # 2025-11-29T02:00:00Z


def readings(tmp_path: Path, text: str) -> list[tuple[int, float]]:
    file = tmp_path / "meter.csv"
    file.write_text(text)
    return Meter(file).readings()


@pytest.mark.parametrize(
    "moment",
    [
        f"{AT}.5",
        "2025-11-29T02:00:00.5Z",
        "2025-11-29T02:00:00.500+00:00",
        "2025-11-29T03:00:00.5+01:00",
        "2025-11-28 21:00:00.5000001-05:00",
    ],
)
def test_times_are_utc_seconds_or_dates_with_their_offset(tmp_path: Path, moment: str) -> None:
    assert readings(tmp_path, f"time,watts\n{moment},12.25\n") == [(AT * 10**9 + 5 * 10**8, 12.25)]


def test_other_columns_an_empty_line_and_a_row_that_is_still_written_are_no_matter(tmp_path: Path) -> None:
    text = f"\ufeffvolts, Watts ,time\n230,10,{AT}\n\n230,11,{AT + 1}\n230,1"
    assert [watts for _, watts in readings(tmp_path, text)] == [10.0, 11.0]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "does not begin with a head"),
        (f"{AT},10\n", "does not begin with a head"),
        (f"time,watts\n{AT},ten\n", "Line 2 .* 'ten' is not a power in watts"),
        (f"time,watts\n{AT},-1\n", "Line 2 .* '-1' is not a power"),
        (f"time,watts\n{AT},nan\n", "Line 2 .* 'nan' is not a power"),
        (f"time,watts\n{AT},10\n{AT},10\n", "Line 3 .* is not later than the row before it"),
        (f"time,watts\n{AT}\n", "Line 2 .* it has 1 of 2 cells"),
        ("time,watts\n2025-11-29T02:00:00,10\n", "Line 2 .* has no offset from UTC"),
        ("time,watts\nyesterday,10\n", "Line 2 .* 'yesterday' is not a time"),
        ("time,watts\n17.5,10\n", "Line 2 .* is not in seconds since 1970"),
    ],
)
def test_what_is_no_reading_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        readings(tmp_path, text)


def test_a_file_that_is_not_there_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        Meter(tmp_path / "none.csv").require()
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00\x01\n")
    with pytest.raises(UserError, match=r"cannot be read\.\nIt is not text\.\nTry: a CSV file with two columns"):
        Meter(tmp_path / "bytes.csv").require()


def test_rows_that_come_late_are_waited_for_and_those_that_never_come_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "meter.csv"
    file.write_text(f"time,watts\n{AT},10\n")

    def late() -> None:
        time.sleep(0.3)
        with file.open("a") as opened:
            opened.write(f"{AT + 2},11\n")

    writer = threading.Thread(target=late)
    writer.start()
    assert len(Meter(file).until((AT + 1) * 10**9)) == 2
    writer.join()
    monkeypatch.setattr(meter, "WAIT_SECONDS", 0.1)
    assert len(Meter(file).until((AT + 5) * 10**9)) == 2

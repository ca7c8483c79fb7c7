"""A wall meter's readings in a CSV file, which somebody else's program writes while it is measured.

The file has a head with the columns ``time`` and ``watts``; others are not read. ``time`` is in seconds since 1970 in
UTC (``1764381600.25``), or a date with its offset (``2026-11-29T02:00:00.25+00:00``, or ``Z``). ``watts`` is a number.
The rows are in order of time, and the meter's clock is this machine's.
"""

from __future__ import annotations

import csv
import math
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from export.errors import UserError

REMEDY = "a CSV file with two columns, time (seconds since 1970, or 2026-11-29T02:00:00Z) and watts"
COLUMNS = ("time", "watts")
DOMAIN = "wall"
WAIT_SECONDS = 5.0
"""A program that writes rows may keep the last ones back so long."""
FRACTION = re.compile(r"\.(\d+)")


def _six_digits(fraction: re.Match[str]) -> str:
    """Python 3.10 reads no other number of digits."""
    return f".{fraction[1]:0<6.6}"


@dataclass(frozen=True)
class Meter:
    """The file."""

    file: Path

    name = "wall meter"

    def require(self) -> None:
        """Read the file as far as it is written.

        Raises:
            UserError: it is not there, or a row of it cannot be understood.
        """
        self.readings()

    def readings(self) -> list[tuple[int, float]]:
        """Nanoseconds since 1970 and watts, in order; a last row without its end is still being written, and left out.

        Raises:
            UserError: as :meth:`require`.
        """
        try:
            text = self.file.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            why = f"{error.strerror}." if isinstance(error, OSError) else "It is not text."
            raise UserError(f"The wall meter's file {self.file} cannot be read.", why, REMEDY) from None
        whole = text[: text.rfind("\n") + 1]
        return list(self._rows(whole.splitlines()))

    def until(self, at_ns: int) -> list[tuple[int, float]]:
        """The readings once one of them is later than a moment, or when that has been waited for long enough."""
        end = time.monotonic() + WAIT_SECONDS
        while True:
            readings = self.readings()
            if (readings and readings[-1][0] >= at_ns) or time.monotonic() >= end:
                return readings
            time.sleep(0.2)

    def _rows(self, lines: list[str]) -> Iterator[tuple[int, float]]:
        rows = csv.reader(lines)
        head = [name.strip().lower() for name in next(rows, [])]
        if not set(COLUMNS) <= set(head):
            raise UserError(
                f"{self.file} does not begin with a head that names the columns time and watts.",
                f"It begins with {','.join(head) or 'nothing'!r}.",
                REMEDY,
            )
        at, of = (head.index(name) for name in COLUMNS)
        last = 0
        for number, row in enumerate(rows, 2):
            if not any(cell.strip() for cell in row):
                continue
            if len(row) <= max(at, of):
                raise self._bad(number, f"it has {len(row)} of {len(head)} cells")
            moment, watts = self._moment(row[at].strip(), number), self._watts(row[of].strip(), number)
            if moment <= last:
                raise self._bad(number, f"{row[at].strip()} is not later than the row before it")
            last = moment
            yield moment, watts

    def _moment(self, text: str, number: int) -> int:
        try:
            seconds = float(text)
        except ValueError:
            try:
                date = datetime.fromisoformat(FRACTION.sub(_six_digits, text).replace("Z", "+00:00"))
            except ValueError:
                raise self._bad(number, f"{text!r} is not a time") from None
            if date.tzinfo is None:
                raise self._bad(number, f"{text!r} has no offset from UTC") from None
            seconds = date.timestamp()
        if not math.isfinite(seconds) or not 1e9 < seconds < 1e10:
            raise self._bad(number, f"{text!r} is not in seconds since 1970")
        return round(seconds * 1e9)

    def _watts(self, text: str, number: int) -> float:
        try:
            watts = float(text)
        except ValueError:
            watts = math.nan
        if not math.isfinite(watts) or watts < 0:
            raise self._bad(number, f"{text!r} is not a power in watts")
        return watts

    def _bad(self, number: int, what: str) -> UserError:
        return UserError(f"Line {number} of {self.file} is not a reading: {what}.", "", REMEDY)

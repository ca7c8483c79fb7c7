"""Tables of text: the bytes of a CSV file in any of its dialects, as rows."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from dataclasses import dataclass

from export.errors import UserError

PATHS = tuple(
    """
    path filepath imagepath imgpath filename file imagefile imagefilename image img imagename imgname
    imageid imgid id name fname picture photo photoid relpath relativepath
    """.split()  # noqa: SIM905
)
LABELS = tuple(
    """
    label labels class category target classname labelname categoryname targetname classlabel classid
    labelid categoryid targetid y species breed diagnosis tag
    """.split()  # noqa: SIM905
)
"""Names of columns, as :attr:`Table.columns` spells them, the surest first."""
LOOK = 50
"""So many rows decide what a table is."""


@dataclass(frozen=True)
class Table:
    """Rows of text.

    Attributes:
        name: its path inside the source. header: as it is written; empty where the first row is one of the rows.
        rows: (line number, fields).
        encoding: in which it was read.
    """

    name: str
    header: tuple[str, ...]
    rows: tuple[tuple[int, tuple[str, ...]], ...]
    encoding: str

    @property
    def columns(self) -> list[str]:
        """The header in lower case, without what people put between words."""
        return [re.sub(r"[\W_]+", "", column.lower()) for column in self.header]

    def cells(self, column: int) -> list[str]:
        return [row[column] if column < len(row) else "" for _, row in self.rows]


def parse(name: str, data: bytes) -> Table:
    """A table out of a file's bytes: its encoding, its delimiter and its quotes are found out.

    Raises:
        UserError: it is no table.
    """
    text, encoding = decoded(data)
    told = re.match(r"\s*sep=(.)\r?\n", text)
    if told:  # as Excel writes it
        text = text[told.end() :]
    sample = text[:20000]
    best: tuple[tuple[bool, float, int], str, str] | None = None
    for delimiter in [told[1]] if told else [",", ";", "\t", "|", " "]:
        for quote in '"', "'":
            rows = rows_of(sample, delimiter, quote)[:LOOK]
            if not rows:
                continue
            width = Counter(len(row) for _, row in rows).most_common(1)[0][0]
            if width < 2:
                continue
            header = {re.sub(r"[\W_]+", "", cell.lower()) for cell in rows[0][1]}
            quoted = quote == "'" and all(cell[:1] != "'" for cell in rows[0][1]) and text.lstrip()[:1] == "'"
            known = bool(header & {*PATHS}) and bool(header & {*LABELS})
            even = sum(len(row) == width for _, row in rows) / len(rows)
            score = (known, round(even, 1), int(quoted) - (quote == "'") * (not quoted) - 2 * (delimiter == " "))
            if best is None or score > best[0]:
                best = (score, delimiter, quote)
    if best is None:
        first = text.strip().partition("\n")[0].strip()[:80]
        raise UserError(
            f"{name} lacks the columns path,label[,split].",
            f"Its first line is {first}." if first else "Its first line is empty.",
            "a table with commas, semicolons or tabs between a path and a label",
        )
    rows = rows_of(text, best[1], best[2])
    if not rows:
        raise UserError(f"{name} lists no images.", "It is not a table of text.")
    return Table(name, tuple(rows[0][1]), tuple(rows[1:]), encoding)


def decoded(data: bytes) -> tuple[str, str]:
    """Text, and the encoding that it was in."""
    for mark, encoding in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if data.startswith(mark):
            return data.decode(encoding, "replace"), "UTF-16" if "16" in encoding else "UTF-8"
    if data[1:2] == b"\0" or data[:1] == b"\0":
        return data.decode("utf-16-le" if data[1:2] == b"\0" else "utf-16-be", "replace"), "UTF-16"
    try:
        return data.decode("utf-8"), "UTF-8"
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace"), "Windows-1252"


def rows_of(text: str, delimiter: str, quote: str) -> list[tuple[int, tuple[str, ...]]]:
    """(line, fields) of every line that is not empty; none where it is no table."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quotechar=quote, skipinitialspace=True)
    rows, line = [], 1
    try:
        for fields in reader:
            if any(field.strip() for field in fields):
                stripped = [field.strip() for field in fields]
                rows.append((line, tuple(stripped if delimiter != " " else [f for f in stripped if f])))
            line = reader.line_num + 1
    except csv.Error:
        return []
    return rows

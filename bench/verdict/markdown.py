"""Tables as Markdown: the one place where a name meets the signs that a table is written in."""

from __future__ import annotations

from collections.abc import Collection, Sequence


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], numbers: Collection[int] = ()) -> str:
    """A table of text, without a line break at its end.

    Args:
        heads: of each column. rows: as many cells each; they may be empty.
        numbers: the indices of the columns that are aligned to the right.

    Raises:
        ValueError: a row has more or fewer cells than there are heads.
    """
    rule = ["--:" if index in numbers else "---" for index in range(len(heads))]
    for row in rows:
        if len(row) != len(heads):
            raise ValueError(f"a row has {len(row)} cells, the table {len(heads)} columns: {row}")
    return "\n".join("| " + " | ".join(map(cell, line)) + " |" for line in (heads, rule, *rows))


def cell(text: str) -> str:
    """Text that ends no cell and no line."""
    return " ".join(text.splitlines()).replace("|", "\\|")


def bullets(lines: Sequence[str]) -> str:
    """A list below a table, with an empty line before it; nothing where there are no lines."""
    return "".join(["\n", *(f"\n- {' '.join(line.splitlines())}" for line in lines)]) if lines else ""

"""Tables as Markdown and as HTML: the one place where a name meets the signs of either."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from html import escape


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


def html(
    heads: Sequence[str], rows: Sequence[Sequence[str]], numbers: Collection[int] = (), lines: Sequence[str] = ()
) -> str:
    """The same table and list in HTML, without a style of their own."""
    sides = ["right" if column in numbers else "left" for column in range(len(heads))]

    def row(texts: Sequence[str], tag: str) -> str:
        pairs = zip(sides, map(escape, texts), strict=True)
        return "<tr>" + "".join(f'<{tag} style="text-align: {side}">{text}</{tag}>' for side, text in pairs) + "</tr>"

    body = "".join(row(texts, "td") for texts in rows)
    below = "\n<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>" if lines else ""
    return f"<table><thead>{row(heads, 'th')}</thead><tbody>{body}</tbody></table>{below}"

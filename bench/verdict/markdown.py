"""Tables as Markdown, and such a page as HTML: the one place where a name meets the signs of either."""

from __future__ import annotations

import re
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


def html(page: str) -> str:
    """A page of :func:`table`, :func:`bullets` and lines of text, in HTML without a style of its own."""
    found = []
    for block in page.strip().split("\n\n"):
        lines = block.splitlines()
        if lines[0].startswith("| "):
            found.append(_html_table(lines))
        elif lines[0].startswith("- "):
            found.append("<ul>" + "".join(f"<li>{escape(line[2:])}</li>" for line in lines) + "</ul>")
        else:
            found.append(f"<p>{escape(block)}</p>")
    return "\n".join(found)


def _html_table(lines: Sequence[str]) -> str:
    heads, rule, *rows = ([part.strip() for part in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines)

    def row(parts: Sequence[str], tag: str) -> str:
        sides = ["right" if mark == "--:" else "left" for mark in rule]
        cells = [escape(part.replace("\\|", "|")) for part in parts]
        inner = "".join(f'<{tag} style="text-align: {s}">{c}</{tag}>' for s, c in zip(sides, cells, strict=True))
        return f"<tr>{inner}</tr>"

    body = "".join(row(parts, "td") for parts in rows)
    return f"<table><thead>{row(heads, 'th')}</thead><tbody>{body}</tbody></table>"

"""The answers as a page, without the numbers that differ from run to run: it changes only where an answer does."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bench.sabotage.trap import Sprung
from bench.verdict.markdown import table

HEAD = """\
# Traps

Made by `make sabotage`, which injects every one of these traps into the harness: edit `bench/sabotage/`, not this page.

Each is a known way to get a wrong number out of a benchmark. The injection goes into the real parts: a small network is
exported, compiled, scored and timed. The harness answers in one of three ways. *Refused*: there is no number.
*Flagged*: the number is marked in every table. *Unmoved*: the number is what it is without the trap. The command also
makes sure that the same injection fools a naive harness: one that times in a plain loop, caches by file name, takes
whatever provider there is, or averages what is there. Numbers that vary from run to run are left out here (…);
`python -m bench.sabotage` prints them.
"""

_VARIES = re.compile(
    r"\b[0-9a-f]{8,}\b|(?<!bound )(?<!arXiv:)[-+]?\b\d+\.\d+(?:e[-+]?\d+)?|(?<!of the )\b\d+(?= ?(?:%|ms|s\b|°C|MHz))"
)
"""Hashes, decimals and what has a unit; but bounds, of which there is one."""
_AGAIN = re.compile(r" \(the least disturbed of \d+ attempts\)")


def page(found: Sequence[Sprung]) -> str:
    """The page in Markdown: one table an area."""
    parts = [HEAD.rstrip()]
    for area in dict.fromkeys(one.trap.area for one in found):
        lines = [_line(one) for one in found if one.trap.area == area]
        heads = ("", "trap", "injected", "answer", "what the harness says")
        parts += ["", f"## {area.capitalize()}", "", table(heads, lines, numbers={0})]
    caught = sum(one.caught for one in found)
    return "\n".join([*parts, "", f"{caught} of {len(found)} are caught.", ""])


def _line(one: Sprung) -> tuple[str, ...]:
    kind = one.answer.kind if one.answer and one.caught else "**not caught**"
    said = one.answer.said if one.answer and one.caught else one.trouble.splitlines()[0]
    return str(one.trap.number), one.trap.title, one.trap.injected, kind, _VARIES.sub("…", _AGAIN.sub("", said))

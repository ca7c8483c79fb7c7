"""What changed between two versions, as tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.drift.sides import Drift
from bench.verdict.comparison import Difference
from bench.verdict.digits import number
from bench.verdict.markdown import table

HEAD = """\
# Drift

Made by `make drift`: edit `bench/drift/`, not this page.

The same cells under two versions of an engine's library: the same ONNX files, the same pixels, each version in an
environment of its own, their repeats in turns. The cosine is between the features that the two versions emit for one
photograph. A score has *changed* where the 95 % interval of the paired bootstrap over the test images leaves out zero,
a latency where the change is larger than the spreads between the repeats of both (at least 2.5 % each); none is judged
that was taken while other processes were busy.
"""


def page(found: Sequence[Drift], machine: str, day: str) -> str:
    """The page in Markdown."""
    parts = [HEAD.rstrip(), "", f"Measured on {machine}, {day}."]
    for drift in found:
        parts += ["", f"## {title(drift)}", "", table(HEADS, lines(drift), numbers={1, 3, 4, 5})]
        parts += ["", verdict(drift)]
    return "\n".join([*parts, ""])


HEADS = ("cell", "cosine, least", "result", "before", "after", "interval of the change", "changed")


def title(drift: Drift) -> str:
    """The library and both versions."""
    return f"{drift.before} → {drift.after.version}"


def lines(drift: Drift) -> list[tuple[str, ...]]:
    """A line a result, below :data:`HEADS`."""
    return [_line(drift, one) for one in drift.differences]


def verdict(drift: Drift) -> str:
    """What changed beyond its interval, in one sentence."""
    beyond = [d for d in drift.differences if d.verdict in ("better", "worse")]
    least = min((low for low, _ in drift.cosines.values()), default=1.0)
    closest = "The features are bit for bit the same" if least == 1 else f"The least cosine is {closeness(least)}"
    if not beyond:
        return f"{closest}; no result changed beyond its interval."
    words = ", ".join(f"{d.result} of {d.cell} ({d.verdict})" for d in beyond)
    return f"{closest}; {len(beyond)} of {len(drift.differences)} results changed beyond their interval: {words}."


def closeness(value: float) -> str:
    """A cosine with as many digits as tell it from 1."""
    return "1" if value == 1 else f"{value:.9f}" if value > 0.999999 else f"{value:.6f}"


def _line(drift: Drift, one: Difference) -> tuple[str, ...]:
    before, after = (f"{number(v)} {one.unit}".strip() if v is not None else "n/a" for v in (one.before, one.after))
    spread = f"{one.low:+.3g} … {one.high:+.3g}" if one.low is not None and one.high is not None else ""
    changed = {"ambiguous": "no", "not comparable": one.why}.get(one.verdict, one.verdict)
    return one.cell, closeness(drift.cosines[one.cell][0]), f"{one.result} {one.metric}", before, after, spread, changed


def document(drift: Drift) -> dict[str, Any]:
    """The same as JSON values."""
    from dataclasses import asdict

    return {
        "library": drift.before.library,
        "before": drift.before.version,
        "after": drift.after.version,
        "cosines": {cell: {"least": low, "mean": mean} for cell, (low, mean) in drift.cosines.items()},
        "results": [asdict(one) for one in drift.differences],
    }

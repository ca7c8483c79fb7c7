"""Every test image's score of every cell, small enough to lie in the page: two cells are compared over the same images.

A byte for an image, an eighth of one where images are right or wrong. What is rounded away is at most a five-hundredth
of the range; the scores themselves are shown as they were measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bench.report.packed import element
from bench.verdict.ranking import Ranking

MOST = 24_000_000
"""Bytes before compression, for all settings together."""


def answers(ranking: Ranking, rows: Sequence[int]) -> tuple[list[dict[str, Any]], str]:
    """What a script must know to read the answers, one entry a setting, and the script elements that hold them.

    Returns:
        Entries with ``id`` (the setting's column), ``element``, ``images``, ``low`` and ``high`` (what the smallest and
        the largest code stand for), ``bits`` (eight images a byte), ``places`` (the cells, in order) and ``draws`` (how
        many seeded draws follow for each, as 32-bit floats); of a setting that does not fit, ``left_out`` alone.
    """
    entries, elements, room = [], [], MOST
    for j, setting in enumerate(ranking.sheet.settings):
        known = [p for p, row in enumerate(rows) if (row, j) in ranking.sheet.samples]
        by_length: dict[int, list[int]] = {}
        for p in known:
            by_length.setdefault(len(ranking.sheet.samples[rows[p], j]), []).append(p)
        if not known:
            continue
        images, places = max(by_length.items(), key=lambda item: len(item[1]))
        values = np.stack([ranking.sheet.samples[rows[p], j] for p in places])
        low, high = float(values.min()), float(values.max())
        codes = np.rint((values - low) / ((high - low) or 1.0) * 255).astype(np.uint8)
        bits = bool(np.isin(codes, (0, 255)).all())
        data = np.packbits(codes == 255, axis=1).tobytes() if bits else codes.tobytes()
        draws = [ranking.sheet.by_draw.get((rows[p], j), np.empty(0)) for p in places]
        several = len({len(d) for d in draws}) == 1 and len(draws[0])
        if several:
            data += np.stack(draws).astype("<f4").tobytes()
        room -= len(data)
        if room < 0:
            entries.append({"id": setting.name, "left_out": True})
            continue
        name = f"answers-{j}"
        elements.append(element(name, data))
        entries.append(
            {
                "id": setting.name,
                "element": name,
                "images": images,
                "low": low,
                "high": high,
                "bits": bits,
                "places": places,
                "draws": int(several or 0),
                "group": setting.test_set,
            }
        )
    return entries, "\n".join(elements)

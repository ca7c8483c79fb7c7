"""The corruption figure measures every setting, on the same photographs corrupted and clean."""

from __future__ import annotations

from collections import Counter

import fakes
import pytest

from bench.figures import corruption as corruption_figures
from bench.figures.corruption import measure
from engines.base import Pixels
from engines.preprocess.base import Preprocess
from tasks.data.altered.corruption import CORRUPTIONS, SEVERITIES, SIDE


def test_every_setting_is_measured_beside_the_same_images_clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corruption_figures, "EACH", 1)
    sizes: Counter[bool] = Counter()

    class Counting(fakes.PillowPath):
        def __call__(self, encoded: bytes) -> Pixels:
            image = self.decode(encoded)
            sizes[image.shape[:2] == (SIDE, SIDE)] += 1
            return self.resize(image)

    path: Preprocess = Counting()
    session = fakes.MeanColour(fakes.plan())
    found = measure(session, path, [fakes.photograph(i) for i in range(4)])
    assert set(found.corrupted) == set(found.clean) == set(CORRUPTIONS)
    settings = len(CORRUPTIONS) * len(SEVERITIES)
    assert sizes == {True: settings, False: settings + 1}, "one more warms up"
    assert min(*found.corrupted.values(), *found.clean.values()) > 0
    assert found.ratio == pytest.approx(sum(found.corrupted.values()) / sum(found.clean.values()))
    assert min(found.ratios.values()) <= found.ratio <= max(found.ratios.values())

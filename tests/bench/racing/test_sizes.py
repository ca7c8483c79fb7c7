"""The table of sizes is of the zoo as it is, and what counting gives."""

from __future__ import annotations

import pytest

from bench.racing.sizes import counted, known
from export.zoo.backbones import listing, resolve
from export.zoo.sources import TimmModel


def test_every_network_of_timm_s_in_the_zoo_has_a_size() -> None:
    rows = {row.name for row in listing() if isinstance(row.source, TimmModel)}
    assert known().keys() == rows, "python -m bench.racing.sizes >bench/racing/sizes.csv"


def test_a_size_is_what_counting_gives() -> None:
    gmacs, parameters, height, width = counted(resolve("mobilenetv2"))
    size = known()["mobilenetv2"]
    assert (size.gmacs, size.parameters_m) == pytest.approx((gmacs, parameters), rel=1e-4)
    assert size.pixels == height * width
    assert size.gmacs == pytest.approx(0.2994943, rel=1e-4), "what its exported file counts"

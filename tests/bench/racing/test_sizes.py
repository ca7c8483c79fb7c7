"""The table of sizes is of the zoo as it is, and what counting gives."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench.racing.sizes import Growth, Size, counted, known
from bench.records.record import TimingRecord
from bench.records.results import Results
from export.zoo.backbones import listing, resolve
from export.zoo.sources import TimmModel


def test_every_network_of_timm_s_in_the_zoo_has_a_size() -> None:
    rows = {row.name for row in listing() if isinstance(row.source, TimmModel)}
    assert known().keys() == rows, "python -m bench.racing.sizes >bench/racing/sizes.csv"


def test_a_size_is_what_counting_gives() -> None:
    found, size = counted(resolve("mobilenetv2")), known()["mobilenetv2"]
    assert (size.gmacs, size.parameters_m) == pytest.approx((found.gmacs, found.parameters_m), rel=1e-4)
    assert size.pixels == found.height * found.width
    assert size.gmacs == pytest.approx(0.2994943, rel=1e-4), "what its exported file counts"
    at_160 = size.at("150x170")
    assert at_160
    assert at_160.pixels == 160 * 160, "rounded to what its strides divide"
    assert at_160.gmacs == pytest.approx(counted(resolve("mobilenetv2"), "150x170").gmacs, rel=1e-4)


def test_what_was_measured_at_other_sizes_lies_within_what_is_said_of_it() -> None:
    """Networks with convolutions and with attention: what their whole exported files count, at 352x480."""
    pairs = {
        (record.cell.backbone, record.cell.size): record.about
        for record in Results.load(Path("docs/dense/camvid.xz")).records
        if isinstance(record, TimingRecord) and not record.subject.head and record.about.gmacs
        if record.cell.size and record.cell.backbone in known()
    }
    assert len(pairs) >= 5
    for (name, size), about in pairs.items():
        found = known()[name].at(size)
        assert found
        assert about.gmacs
        assert about.input
        assert found.pixels == about.input[0] * about.input[1]
        assert abs(found.gmacs / about.gmacs - 1) < found.off < 0.05
    vit = known()["vit_b"].at("384x384")
    assert vit
    assert vit.gmacs == pytest.approx(known()["deit_b_384"].gmacs, rel=1e-4), "the same architecture, counted there"


def test_a_size_that_is_not_known_well_or_too_small_is_unknown() -> None:
    growth = Growth(32, 0.0, 10.0, 0.0, 0.01)
    size = Size(0.5, 3.0, 224 * 224, growth)
    assert size.at("224x224") is size
    assert size.at("24x480") is None
    assert Size(0.5, 3.0, 224 * 224).at("128x128") is None
    assert Size(0.5, 3.0, 224 * 224, replace(growth, off=0.6)).at("128x128") is None
    found = size.at("128x128")
    assert found
    assert found.off == pytest.approx(0.04)

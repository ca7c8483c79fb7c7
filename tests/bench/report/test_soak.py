from __future__ import annotations

from fake_records import Lab, only

from bench.records.parts import SampleSeries
from bench.report.soak import soak


def test_a_cell_has_its_ends_its_change_and_its_course() -> None:
    lab = Lab()
    name = next(iter(lab.backbones))
    tenths = [SampleSeries(f"tenth_{n}", 0, [(10 + n) * 1_000_000] * 20, begin_ns=n) for n in range(10)]
    html = soak([only(lab.timing(name, "ort:cpu", "soak", series=tenths[::-1]))])
    assert f"{name} · ort:cpu · fp32" in html
    assert "<td>10.0</td><td>19.0</td><td>+90.0</td>" in html
    assert 'points="4.0,32.0 ' in html, "the least is at the bottom left"
    assert '176.0,4.0"' in html


def test_without_a_soak_there_is_no_section() -> None:
    lab = Lab()
    assert soak([only(lab.timing(next(iter(lab.backbones)), "ort:cpu"))]) == ""

"""The cost of a shift: drops with errors, and effective robustness against a line."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from fake_records import ODD, Lab

from bench.records.parts import Shift
from bench.records.record import Record
from bench.records.results import Results
from bench.robustness import main
from bench.verdict.robustness import Drop, drops
from bench.verdict.table import rows
from export.errors import UserError

LAB = Lab(engines={"ort:cpu": 1.0})
NAMES = list(LAB.backbones)


def score(backbone: str, data: str, value: float, stderr: float = 1.0, shift: Shift | None = None) -> Record:
    lab = replace(LAB, data=data, digest=f"digest-{data}", shift=shift)
    record = lab.score(backbone, "ort:cpu", "knn")
    return replace(record, metrics=(replace(record.metrics[0], value=value, stderr=stderr),), per_sample=[])


def under(backbone: str, value: float, stderr: float = 1.0, base: str = "photos") -> Record:
    """A score under the shift from ``base`` to rain."""
    shift = Shift(base, "rain", (f"digest-{base}|rain", f"digest-{base}"))
    return score(backbone, f"{base}→rain", value, stderr, shift)


def logistic(x: float) -> float:
    return 100 / (1 + math.exp(-x))


def records() -> list[Record]:
    """Four cells on a line, logit against logit; the fifth 0.5 above it."""
    found = []
    for i, name in enumerate(NAMES):
        x = 0.5 * i
        found.append(score(name, "photos", logistic(x), 3.0))
        found.append(under(name, logistic(0.8 * x - 1), 4.0))
    return found


def test_the_drop_and_its_error() -> None:
    found = {d.cell.split(" · ")[0]: d for d in drops(rows(Results(tuple(records())))[0])}
    assert len(found) == 5
    first = found[NAMES[0]]
    assert (first.task, first.shift) == ("knn", "photos→rain")
    assert first.drop == pytest.approx(50 - logistic(-1))
    assert first.stderr == pytest.approx(5.0)
    assert all(abs(d.effective or 0) < 1e-6 for d in found.values())


def test_a_cell_above_the_line_is_effectively_robust() -> None:
    given = records()
    given[5] = under(NAMES[2], logistic(0.8 * 1.0 - 1 + 0.5))
    found = {d.cell.split(" · ")[0]: d.effective for d in drops(rows(Results(tuple(given)))[0])}
    assert found[NAMES[2]] == max(found.values(), key=lambda v: v or 0)
    assert (found[NAMES[2]] or 0) > 5


def test_the_narrowed_base_is_taken_where_there_is_one() -> None:
    given = [*records(), *(score(name, "photos|rain", 90.0) for name in NAMES)]
    assert {d.without for d in drops(rows(Results(tuple(given)))[0])} == {90.0}


def of(*given: Record) -> list[Drop]:
    return drops(rows(Results(given))[0])


def test_what_a_drop_is_taken_from_is_known_by_digest_or_in_old_records_by_name() -> None:
    base = score(NAMES[0], "photos", 80.0)
    for without in ("digest-photos", "photos"):
        shift = Shift("photos", "rain", (f"{without}|rain", without))
        [drop] = of(base, score(NAMES[0], "photos→rain", 50.0, shift=shift))
        assert (drop.without, drop.under) == (80, 50)
    other = Shift("photos", "rain", ("digest-of-another",))
    with pytest.raises(UserError, match="No record here is of a shift"):
        of(base, score(NAMES[0], "photos→rain", 50.0, shift=other))


def test_a_name_alone_makes_no_shift() -> None:
    """``a`` and ``a→b|c@d`` are two data sets like any other, also where both are scored."""
    given = [score(NAMES[0], name, 50.0) for name in ("a", "a|b", "a→b", ODD)]
    with pytest.raises(UserError, match="No record here is of a shift"):
        of(*given)


def test_a_shift_of_a_data_set_is_one_whatever_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = [*(score(name, ODD, 90.0) for name in NAMES), *(under(name, 60.0, base=ODD) for name in NAMES)]
    given.append(score(NAMES[0], "a", 10.0))
    found = of(*given)
    assert {(d.shift, d.without, d.under) for d in found} == {(f"{ODD}→rain", 90, 60)}
    assert len(found) == len(NAMES)
    for record in given:
        record.write(tmp_path / "records")
    assert main([str(tmp_path)]) == 0
    assert "| knn | a→b\\|c@d→rain | made_up_large · ort:cpu · fp32 | 90.0 | 60.0 |" in capsys.readouterr().out


def test_two_cells_make_no_line() -> None:
    found = drops(rows(Results(tuple(records()[:4])))[0])
    assert [d.effective for d in found] == [None, None]


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for record in records():
        record.write(tmp_path / "records")
    assert main([str(tmp_path)]) == 0
    assert "| knn | photos→rain |" in capsys.readouterr().out
    main([str(tmp_path), "--json"])
    assert len(json.loads(capsys.readouterr().out)) == 5
    LAB.write(tmp_path / "other")
    with pytest.raises(UserError, match="No record here is of a shift"):
        main([str(tmp_path / "other")])

"""Prices and loads as they are given, and what is none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from fake_records import Lab

from bench.verdict.money import Load, Price, price_of, read_prices
from export.errors import UserError

HERE = Lab().environment()
FILE = """
- machine: {machine}
  price: 0.526 USD/h
  date: 2026-11-01
  source: https://example.org/prices
"""


@pytest.mark.parametrize(
    ("text", "per_h", "currency"),
    [
        ("0.526/h", 0.526, ""),
        ("0.526 USD/h", 0.526, "USD"),
        ("$0.526/h", 0.526, "$"),
        ("EUR 1e-4 / sec", 0.36, "EUR"),
        ("2/S", 7200, ""),
        ("73 €/month", 0.1, "€"),
        ("24/day", 1.0, ""),
        (" 12 / hour ", 12, ""),
    ],
)
def test_prices(text: str, per_h: float, currency: str) -> None:
    found = Price.parse(text)
    assert found.per_h == pytest.approx(per_h)
    assert found.currency == currency


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0.526", r"^The price '0\.526' has no unit of time\.\n.*\nTry: --price 0\.526/h$"),
        ("0.526 USD", r"has no unit of time\.\n.*\nTry: --price '0\.526 USD/h'$"),
        ("0.526/", "'nothing' is not a unit of time"),
        ("0.526/week", "'week' is not a unit of time"),
        ("0.526/h/h", "'h/h' is not a unit"),
        ("free/h", "is not a price"),
        ("0/h", "is not a price"),
        ("-1/h", "is not a price"),
        ("nan/h", "is not a price"),
        ("1,5/h", "is not a price"),
        ("$1 USD/h", "is not a price"),
        ("", "is not a price"),
    ],
)
def test_what_is_no_price(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Price.parse(text)


@pytest.mark.parametrize(("text", "per_s"), [("500/s", 500), ("1.8e6/h", 500), ("1314e6/month", 500), ("0.5/sec", 0.5)])
def test_loads(text: str, per_s: float) -> None:
    assert Load.parse(text).per_s == pytest.approx(per_s)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("500", r"^The load '500' has no unit of time\.\n.*\nTry: --load 500/s$"),
        ("500/week", "'week' is not a unit of time"),
        ("many/s", "is not a load"),
        ("0/s", "is not a load"),
        ("inf/s", "is not a load"),
        ("nan/s", "is not a load"),
    ],
)
def test_what_is_no_load(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Load.parse(text)


def test_a_file_has_a_dated_price_for_each_machine(tmp_path: Path) -> None:
    file = tmp_path / "prices.yaml"
    file.write_text(FILE.format(machine="Imaginary") + FILE.format(machine="Orin").replace("0.526", "0.1"))
    first, second = read_prices([str(file)])
    assert str(first) == "0.526 USD/h for Imaginary (2026-11-01, https://example.org/prices)"
    assert price_of(HERE, [first, second]) == first
    assert price_of(replace(HERE, processor="another"), [first, second]) is None
    assert price_of(HERE, read_prices(["1/h"])) == Price(1.0)


def test_a_machine_is_meant_by_a_part_of_its_name_or_the_beginning_of_its_id() -> None:
    assert Price(1, machine="imaginary cpu").means(HERE)
    assert Price(1, machine="made-up").means(HERE)
    assert not Price(1, machine="up-a-b").means(HERE)
    with pytest.raises(UserError, match=r"^Several prices are of Imaginary CPU made-up-a"):
        price_of(HERE, [Price(1, machine="imaginary"), Price(2, machine="made-up")])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- machine: [", "is not YAML"),
        ("machine: a", "is not a list of prices"),
        ("[]", "is not a list of prices"),
        ("- 0.526/h", "entry 1: it is not an entry"),
        ("- {machine: a, price: 1/h}", "entry 1: it has no date"),
        ("- {machine: '', price: 1/h, date: 2026-11-01}", "entry 1: it has no machine"),
        ("- {machine: a, price: 1/h, date: yesterday}", "'yesterday' is not a date"),
        ("- {machine: a, price: 1, date: 2026-11-01}", r"entry 1: The price '1' has no unit of time\."),
        ("- {machine: a, price: 1/h, date: 2026-11-01, cost: 3}", "Unknown field of .*entry 1: 'cost'"),
        (FILE.format(machine="a") + FILE.format(machine="b").replace("USD", "EUR"), "several currencies.\nEUR, USD"),
    ],
)
def test_what_is_no_price_file(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "prices.yaml"
    file.write_text(text)
    with pytest.raises(UserError, match=message):
        read_prices([str(file)])


def test_a_file_that_is_not_there_says_so() -> None:
    with pytest.raises(UserError, match=r"The price file 'nowhere\.yaml' cannot be read"):
        read_prices(["nowhere.yaml"])

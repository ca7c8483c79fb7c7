"""What a machine costs, as it was given: ``0.526 USD/h`` on the command line, or a dated YAML file of one's own."""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.records.parts import Environment
from export.errors import UserError, unknown

HOUR, MONTH = 3600.0, 730 * 3600.0
SECONDS = {"s": 1.0, "sec": 1.0, "h": HOUR, "hour": HOUR, "day": 24 * HOUR, "month": MONTH}
"""Unit of time → seconds. A month has 730 hours, as in the price lists of clouds."""
UNITS = "s, h, day or month"
AMOUNT = re.compile(
    r"(?P<before>[^\d\s/.,+-]*)\s*(?P<amount>\d+(?:\.\d+)?(?:e[+-]?\d+)?)\s*(?P<after>[^\d\s/.,]*)", re.I
)
FIELDS = ("machine", "price", "date", "source")
"""Of an entry of a price file; all but the last must be there."""


@dataclass(frozen=True)
class Price:
    """What one machine costs while it runs, whether it is busy or not.

    Attributes:
        per_h: for an hour. currency: as it was given; may be empty.
        machine: a part of the machine's name, or the beginning of its id; empty for every machine.
        date, source: of when the price is, and where it comes from; empty where they are not known.
    """

    per_h: float
    currency: str = ""
    machine: str = ""
    date: str = ""
    source: str = ""

    @classmethod
    def parse(cls, text: str) -> Price:
        """``0.526/h``, ``0.526 USD/h``, ``$0.526/h``, ``80 EUR/month``.

        Raises:
            UserError: it is no price, or has no unit of time.
        """
        value, slash, unit = (part.strip() for part in text.partition("/"))
        found = AMOUNT.fullmatch(value)
        if not found or float(found["amount"]) <= 0 or (found["before"] and found["after"]):
            raise UserError(
                f"{text!r} is not a price.", "It is a number above 0 and a unit of time.", "--price 0.526/h"
            )
        if not slash:
            raise UserError(
                f"The price {text!r} has no unit of time.",
                f"A machine costs an amount a time: {UNITS}.",
                f"--price {_quoted(f'{value}/h')}",
            )
        return cls(float(found["amount"]) * HOUR / _seconds(unit, text), found["before"] or found["after"])

    def means(self, environment: Environment) -> bool:
        """Whether it is the price of that machine."""
        name = self.machine.lower()
        return name in f"{environment.name} {environment.processor}".lower() or environment.id.startswith(name)

    def __str__(self) -> str:
        machine = f" for {self.machine}" if self.machine else ""
        known = ", ".join(filter(None, (self.date, self.source)))
        return f"{self.per_h:g}{f' {self.currency}' if self.currency else ''}/h{machine}" + (
            f" ({known})" if known else ""
        )


def read_prices(texts: Sequence[str]) -> tuple[Price, ...]:
    """The prices that ``--price`` gives: a price, or YAML files with those of several machines.

    Raises:
        UserError: one of them is no price, a file is none of prices, or they are in several currencies.
    """
    found: list[Price] = []
    for text in texts:
        file = Path(text)
        found += _of_file(file) if file.suffix in (".yaml", ".yml") or file.is_file() else [Price.parse(text)]
    if len(currencies := {price.currency for price in found}) > 1:
        raise UserError(
            "The prices are in several currencies.", ", ".join(sorted(c or "one without a name" for c in currencies))
        )
    return tuple(found)


def price_of(environment: Environment, prices: Sequence[Price]) -> Price | None:
    """The price of a machine; None where none is given for it.

    Raises:
        UserError: several are.
    """
    found = [price for price in prices if price.means(environment)]
    if len(found) > 1:
        raise UserError(
            f"Several prices are of {environment.name} ({environment.id}).",
            "; ".join(map(str, found)) + ".",
            "name more of each machine in the price file, or the beginning of its id",
        )
    return found[0] if found else None


@dataclass(frozen=True)
class Load:
    """How many images come in."""

    per_s: float

    @classmethod
    def parse(cls, text: str) -> Load:
        """``500/s``, ``2e9/month``.

        Raises:
            UserError: it is no load, or has no unit of time.
        """
        value, _, unit = (part.strip() for part in text.partition("/"))
        try:
            count = float(value)
        except ValueError:
            count = 0.0
        if not 0 < count < float("inf"):
            raise UserError(f"{text!r} is not a load.", "It is a number of images and a unit of time.", "--load 500/s")
        if not unit:
            raise UserError(f"The load {text!r} has no unit of time.", f"It is one of {UNITS}.", f"--load {value}/s")
        return cls(count / _seconds(unit, text))

    def __str__(self) -> str:
        return f"{self.per_s:.6g} images/s"


def _seconds(unit: str, text: str) -> float:
    if unit.lower() not in SECONDS:
        raise UserError(f"{text!r}: {unit or 'nothing'!r} is not a unit of time.", f"It is one of {UNITS}.")
    return SECONDS[unit.lower()]


def _quoted(text: str) -> str:
    return f"'{text}'" if " " in text or "$" in text else text


def _of_file(file: Path) -> list[Price]:
    import yaml

    try:
        entries = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"The price file {str(file)!r} cannot be read.", str(error)) from error
    except yaml.YAMLError as error:
        raise UserError(f"{file} is not YAML.", " ".join(str(error).split())) from error
    if not isinstance(entries, list) or not entries:
        raise UserError(f"{file} is not a list of prices.", f"Each entry has {', '.join(FIELDS)}.", "see docs/money.md")
    return [_entry(entry, file, number) for number, entry in enumerate(entries, 1)]


def _entry(entry: Any, file: Path, number: int) -> Price:
    where = f"{file}, entry {number}"
    if not isinstance(entry, dict):
        raise UserError(f"{where}: it is not an entry.", f"An entry has {', '.join(FIELDS)}.", "see docs/money.md")
    for name in entry:
        if name not in FIELDS:
            raise unknown(f"field of {where}:", str(name), FIELDS)
    for name in FIELDS[:-1]:
        if not str(entry.get(name) or "").strip():
            raise UserError(f"{where}: it has no {name}.", f"An entry has {', '.join(FIELDS)}; source may be left out.")
    try:
        price, date = Price.parse(str(entry["price"])), datetime.date.fromisoformat(str(entry["date"]))
    except ValueError as error:
        raise UserError(f"{where}: {str(entry['date'])!r} is not a date.", "", "write it as 2026-11-29") from error
    except UserError as error:
        raise UserError(f"{where}: {error.what}", error.why, "price: 0.526 USD/h") from error
    return Price(price.per_h, price.currency, str(entry["machine"]).strip(), str(date), str(entry.get("source") or ""))

"""A bound on latency that a service promises: ``p99=50ms``."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from export.errors import UserError

FORM = re.compile(r"p(\d+(?:\.\d+)?)\s*=\s*(\d+(?:\.\d+)?)\s*(us|µs|ms|s)")
MS = {"us": 1e-3, "µs": 1e-3, "ms": 1.0, "s": 1e3}


@dataclass(frozen=True)
class Slo:
    """The share ``quantile`` of all queries is answered within ``ms`` milliseconds."""

    quantile: float = 0.99
    ms: float = 50.0

    @classmethod
    def parse(cls, text: str) -> Slo:
        """``p99=50ms``; also µs and s.

        Raises:
            UserError: it is not of this form, has no unit, or is no bound.
        """
        found = FORM.fullmatch(text.strip().lower())
        if not found:
            raise UserError(
                f"{text!r} is not a bound on latency.", "It is a percentile, a time and its unit.", "--slo p99=50ms"
            )
        percent, value = float(found[1]), float(found[2])
        if not 0 < percent < 100 or value <= 0:
            raise UserError(
                f"{text!r} is not a bound on latency.", "Percentiles lie between 0 and 100, times above 0.", "p99=50ms"
            )
        return cls(percent / 100, value * MS[found[3]])

    @property
    def bound_ns(self) -> float:
        return self.ms * 1e6

    @property
    def percentile(self) -> str:
        """``p99``, ``p99.9``."""
        return f"p{100 * self.quantile:g}"

    def late(self, queries: int) -> int:
        """Queries out of so many that may take longer than the bound."""
        return queries - max(1, math.ceil(self.quantile * queries - 1e-9))

    def __str__(self) -> str:
        return f"{self.percentile}={self.ms:g}ms"

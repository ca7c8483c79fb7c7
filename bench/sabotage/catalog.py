"""All traps, by the number that they have in the list."""

from __future__ import annotations

from collections.abc import Sequence

from bench.sabotage.artifacts import ARTIFACTS
from bench.sabotage.energy import ENERGY
from bench.sabotage.load import LOAD
from bench.sabotage.machine import MACHINE
from bench.sabotage.preprocessing import PREPROCESSING
from bench.sabotage.ranking import RANKING
from bench.sabotage.scoring import SCORING
from bench.sabotage.timing import TIMING
from bench.sabotage.trap import Trap
from export.errors import unknown

AREAS = (TIMING, LOAD, MACHINE, ARTIFACTS, PREPROCESSING, SCORING, RANKING, ENERGY)
TRAPS = tuple(sorted((trap for area in AREAS for trap in area.all), key=lambda trap: trap.number))


def named(names: Sequence[str]) -> list[Trap]:
    """The traps of these names or numbers; all where there are none.

    Raises:
        UserError: there is none of a name.
    """
    found = []
    for name in names:
        meant = [trap for trap in TRAPS if name in (trap.name, str(trap.number))]
        if not meant:
            raise unknown("trap", name, [trap.name for trap in TRAPS], "python -m bench.sabotage --list")
        found += meant
    return sorted(found, key=lambda trap: trap.number) or list(TRAPS)

"""What making a file takes of disk and memory, compared with what is there: before the work begins, not after an hour.

A disk that is too small is refused: what is free there is known, and nothing gives more during the work. So is memory
beyond all that the machine has. Where only so much is in use by others, it is said and the work goes on: they may end.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from export.errors import CellError, OutOfSpace

EXPORT_DISK = 2.0
"""Times the fp32 weights: the file as it is traced, and the file."""
LOWER_DISK = 2.5
"""Times the fp32 file where it is open: tensors of all candidates, each once, and the result."""
PLAN_DISK = 2.0
"""Times the file: the plan's own copy, and a provider's while it is looked at."""
MEMORY = 2.5
"""Times the fp32 weights: the module and what its weights are folded to, or a session's copies."""


def require_disk(what: str, size: float, folder: Path) -> None:
    """Refuse work whose files do not fit.

    Args:
        what: is done, the subject of a sentence. size: bytes that it writes in ``folder``, which is in the store.

    Raises:
        OutOfSpace: less is free.
    """
    free = shutil.disk_usage(folder).free
    if free < size:
        raise OutOfSpace(
            f"Too little space is free for {what}.",
            f"It takes about {size / 1e9:.1f} GB in the store, {folder.parent.parent}; {free / 1e9:.1f} GB are free.",
            "free some space, or name another store: --store DIR",
        )


def require_memory(what: str, size: float, say: Callable[[str], None]) -> None:
    """Refuse work that the machine cannot hold, and warn of what others leave too little for.

    Args:
        size: bytes that it takes at its peak.

    Raises:
        CellError: the machine has less memory, swap included.
    """
    import psutil

    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    total, free = memory.total + swap.total, memory.available + swap.free
    if total < size:
        raise CellError(
            f"Too little memory for {what}.",
            f"It takes about {size / 1e9:.1f} GB; this machine has {total / 1e9:.1f} GB, swap included.",
            "a machine with more memory, or a smaller network",
        )
    if free < size:
        say(
            f"warning: {what} takes about {size / 1e9:.1f} GB of memory, of which {free / 1e9:.1f} GB are free; "
            "it may be stopped by the system"
        )

"""Whether the model hub answers: one short question a process, so that a machine without a network waits once."""

from __future__ import annotations

import threading
from functools import lru_cache

from export.progress import say

SECONDS = 4.0
"""What the hub has to answer in; the hub's own library would try again and again, for most of a minute."""


def answers() -> bool:
    """Whether the model hub can be reached. That it cannot is said, once; where its library was told to stay offline
    (HF_HUB_OFFLINE) nobody is asked and nothing is said."""
    from huggingface_hub import constants

    return not constants.HF_HUB_OFFLINE and _asked(constants.ENDPOINT)


@lru_cache
def _asked(endpoint: str) -> bool:
    from huggingface_hub.utils import get_session  # type: ignore[attr-defined]

    found: list[object] = []

    def ask() -> None:
        try:  # whatever it answers, it is there
            found.append(get_session().head(endpoint, timeout=SECONDS))
        except Exception:  # no name, no route, no answer in time, a proxy that refuses: of no interest which
            return

    # the look-up of a name has no time limit of its own, so that somebody else has to wait for it
    asking = threading.Thread(target=ask, name="hub", daemon=True)
    asking.start()
    asking.join(SECONDS)
    if not found:
        say(f"the model hub ({endpoint}) cannot be reached: only weights that are here are used")
    return bool(found)

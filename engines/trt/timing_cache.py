"""Measured kernel times, kept from one build to the next: a second build of a like network measures what is new."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export.store import key, write_atomic


@dataclass(frozen=True)
class TimingCache:
    """One file for a library version on a device; two builds may share it.

    It is no entry of the store, whose entries never change. One that the library does not accept is begun anew.
    """

    path: Path

    @classmethod
    def of(cls, root: Path, **identity: Any) -> TimingCache:
        """The file under ``root`` for a library version, device and driver."""
        return cls(root / "timing-cache" / f"{key('timing-cache', **identity)}.bin")

    def attach(self, config: Any) -> None:
        """Give the builder what is known."""
        cache = config.create_timing_cache(self._read())
        if cache is None or not config.set_timing_cache(cache, ignore_mismatch=False):
            config.set_timing_cache(config.create_timing_cache(b""), ignore_mismatch=False)

    def keep(self, config: Any) -> None:
        """Write what the builder knows now, joined with what another build has written meanwhile."""
        from filelock import FileLock

        cache = config.get_timing_cache()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self.path.with_suffix(".lock")):
            others = config.create_timing_cache(self._read())
            if others is not None:
                cache.combine(others, ignore_mismatch=False)
            write_atomic(self.path, bytes(cache.serialize()))

    def _read(self) -> bytes:
        try:
            return self.path.read_bytes()
        except FileNotFoundError:
            return b""

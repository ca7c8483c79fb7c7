"""Many records in one small file: what tables, ranks and their significance need, without the samples of timings.

The file is an xz stream: one line of JSON, a list of records, and behind it the bytes that their scores of single test
images are packed into. Such scores are whole multiples of a step (0 or 100 %, shares of a few draws), and are kept as
those multiples; others (average precision) are rounded to one, and where the metric was their mean it stays it: cells
that answer alike stay equal.
"""

from __future__ import annotations

import gc
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from bench.records.record import KINDS, Record, ScoreRecord
from bench.records.schema import upgrade
from bench.records.stats import is_mean
from export.errors import UserError

DIGITS = 7
"""Significant digits of every number but the scores of single images."""
BITS = 10
"""Of a score that is no multiple of a step: its range is divided into about so many powers of two."""
PACKED = ("per_sample", "per_draw")


def pack(records: Iterable[Record], bits: int = BITS) -> bytes:
    """The records as one file's content."""
    import lzma

    blob = bytearray()
    lines = [_packed(record, blob, bits) for record in sorted(records, key=_order)]
    return lzma.compress(msgspec.json.encode(lines) + b"\n" + bytes(blob), preset=9 | lzma.PRESET_EXTREME)


def unpack(content: bytes, name: str) -> tuple[Record, ...]:
    """The records in a file's content; ``name`` is the file's, for messages.

    Raises:
        UserError: :func:`pack` did not make it, or it is of a newer schema.
    """
    import lzma

    collecting = gc.isenabled()
    gc.disable()  # it would look through all records again and again: half of the time
    try:
        head, _, blob = lzma.decompress(content).partition(b"\n")
        return tuple(_unpacked(document, blob) for document in msgspec.json.decode(head, type=list[Any]))
    except (EOFError, lzma.LZMAError, msgspec.MsgspecError, LookupError, TypeError, ValueError) as error:
        raise UserError(f"{name} is not a file of records.", str(error)) from error
    finally:
        if collecting:
            gc.enable()


def _order(record: Record) -> tuple[str, ...]:
    """Records of one column side by side, so that equal answers of several engines compress to nothing."""
    return record.subject.name, record.cell.backbone, record.cell.precision, record.cell.engine, record.key


def _packed(record: Record, blob: bytearray, bits: int) -> dict[str, Any]:
    document: dict[str, Any] = _rounded(msgspec.to_builtins(record))
    document["keys"] = {"plan": record.keys.plan, "joint": record.keys.joint}
    if record.failure and record.failure.traceback:
        document["failure"]["traceback"] = record.failure.traceback.strip().splitlines()[-1]
    if isinstance(record, ScoreRecord):
        document["sweep"] = []
        for name in PACKED:
            document[name] = _codes(getattr(record, name), record.subject.n_test, blob, bits)
        if document["per_sample"] and record.metrics and is_mean(record.per_sample, record.metrics[0].value):
            document["metrics"][0]["value"] = float(np.mean(_values(document["per_sample"], blob)))
    else:
        document["series"] = [one | {"samples": []} for one in document["series"]]
    return document


def _codes(values: Sequence[float], images: int, blob: bytearray, bits: int) -> dict[str, Any] | None:
    """Where in ``blob`` the values lie, and what a code stands for; None where there are none."""
    if not values:
        return None
    found = np.array(values)
    step = next(filter(None, (_exact(found, 100 / n) for n in (1, 5, 10, 100, images) if n)), 0.0)
    if not step:
        spread = float(np.ptp(found))
        step = 2.0 ** math.floor(math.log2(spread / 2**bits)) if spread else abs(values[0])
    whole = np.rint(found / step).astype(np.int64)
    least = int(whole.min())
    kind = "<u1" if int(whole.max()) - least < 256 else "<u2" if int(whole.max()) - least < 65536 else "<u4"
    start = len(blob)
    blob += (whole - least).astype(kind).tobytes()
    return {"at": start, "n": len(found), "kind": kind, "least": least, "step": step}


def _exact(values: np.ndarray[Any, np.dtype[np.float64]], step: float) -> float:
    """The step, where all values are multiples of it; else 0."""
    near = 1e-6 * min(step, 1.0)  # a value that is nearly nothing is no multiple of a hundred
    return step if bool((np.abs(values - step * np.rint(values / step)) < near).all()) else 0.0


def _unpacked(document: dict[str, Any], blob: bytes) -> Record:
    for name in PACKED:
        if name in document:
            document[name] = _values(document[name], blob)
    return msgspec.convert(upgrade(document), KINDS[document["kind"]])


def _values(codes: dict[str, Any] | None, blob: bytes | bytearray) -> list[float]:
    if codes is None:
        return []
    whole = np.frombuffer(blob, codes["kind"], codes["n"], codes["at"])
    return list(((whole + float(codes["least"])) * codes["step"]).tolist())


def _rounded(value: Any) -> Any:
    """Numbers with few digits, and of a path of the machine that wrote it its last part alone."""
    if isinstance(value, dict):
        return {name: _rounded(part) for name, part in value.items() if name not in PACKED}
    if isinstance(value, list):
        return [_rounded(part) for part in value]
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, str) and value.startswith("/") and "\n" not in value:
        return Path(value).name
    return value

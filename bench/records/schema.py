"""Older records, brought to the present schema: what was a loose mapping then becomes the types of today.

Schema 1, the first, had no scores of single draws of training images, and did not distinguish named data sets from the
user's own; only the former have a licence. Schema 2 kept its parts as mappings, each series under ``NAME/REPEAT``, the
reference in its engine's name, and a shift in the data set's name and in the note on its splits. Here alone is anything
taken out of a name. Schema 3 had no weights in the cell, and counted unreadable images instead of saying how the data
were read. Schema 4 knew no other input sizes, no heads, no feature maps and no results class by class. Schema 5 had an
input's size and its resize as one text, and no depths. Schema 6 watched the machine during a whole repeat, not during
each of its series.
"""

from __future__ import annotations

from typing import Any

from export.errors import UserError

SCHEMA = 7


def upgrade(document: dict[str, Any]) -> dict[str, Any]:
    """Bring a document of any older schema to the present one.

    Raises:
        UserError: it has no schema, or a newer one.
    """
    schema = document.get("schema")
    if not isinstance(schema, int) or schema < 1:
        raise UserError(f"A record has no schema version: it says {schema!r}.")
    if schema > SCHEMA:
        raise UserError(
            f"A record has schema {schema}; this version reads up to {SCHEMA}.", "", "update backbones-deployed"
        )
    if schema == 1:
        document = _from_1(document)
    if schema <= 2:
        document = _from_2(document)
    if schema <= 3:
        document = _from_3(document)
    if schema <= 5:
        document = _from_5(document)
    if schema <= 6 and document.get("monitoring"):
        document = document | {"monitoring": [m | {"repeat": n} for n, m in enumerate(document["monitoring"])]}
    return document | {"schema": SCHEMA}


def _from_1(document: dict[str, Any]) -> dict[str, Any]:
    subject = document.get("subject")
    if isinstance(subject, dict) and subject.get("data_licence"):
        subject = {"published": subject.get("data"), **subject}
    return document | {"subject": subject}


def _from_2(document: dict[str, Any]) -> dict[str, Any]:
    detail, cell = dict(document.get("detail") or {}), dict(document["cell"])
    cell["reference"] = str(cell.get("engine", "")).endswith(":eager") and cell.get("precision") == "fp32"
    keys = dict(document.get("keys") or {})
    keys["features"] = [keys["features"]] if keys.get("features") else []
    new = document | {
        "cell": cell,
        "keys": keys,
        "about": document.get("backbone") or {},
        "parity": _parity(detail.get("parity")),
        "arithmetic": detail.get("arithmetic") or {},
        "emulated": detail.get("emulated") or "",
    }
    subject = dict(document["subject"])
    if document.get("kind") == "score":
        subject["outputs"] = [subject.get("output", "features")]
        subject["shift"] = _shift(str(subject.get("data", "")), str(subject.get("splits_from", "")))
        return new | {"subject": subject} | {n: detail[n] for n in ("chosen", "sweep", "extraction") if detail.get(n)}
    subject["images"] = detail.get("images_in_rotation", 0)
    return new | {
        "subject": subject,
        "series": _series(document, detail),
        "monitoring": detail.get("monitor") or [],
        "placement": detail.get("placement") or {},
    }


def _from_3(document: dict[str, Any]) -> dict[str, Any]:
    cell, subject = dict(document["cell"]), dict(document["subject"])
    source = (document.get("about") or {}).get("source") or {}
    if not cell.get("untrained") and "repository" not in source:
        cell["weights"] = source.get("sha256", "")
    if lost := subject.pop("unreadable", 0):
        subject["remarks"] = [f"left out: {lost:,} unreadable {'image' if lost == 1 else 'images'}"]
    return document | {"cell": cell, "subject": subject}


def _from_5(document: dict[str, Any]) -> dict[str, Any]:
    cell = dict(document["cell"])
    for word in str(cell.pop("input", "")).split():
        cell["size" if word[0].isdigit() else "resize"] = word
    return document | {"cell": cell}


def _parity(parity: dict[str, Any] | None) -> dict[str, Any] | None:
    """Of the main output alone; what was not recorded is the least that can be said."""
    if not parity:
        return None
    unknown = {"cosine_mean": parity["cosine_min"], "nonfinite": 0, "images": 0, "cosine_bound": 0, "error_bound": 0}
    return {"output": "features", **unknown, **parity}


def _shift(data: str, splits_from: str) -> dict[str, Any] | None:
    """Which sets a shift is of, by the arrow at which the note on its splits agrees; None for a set that only has an
    arrow in its name. The set without the shift is known by name alone: narrowed to the same classes, or whole."""
    for at in (i for i, character in enumerate(data) if character == "→"):
        fitted, seen = data[:at], data[at + 1 :]
        if splits_from.startswith(f"train and val of {fitted} (") and splits_from.endswith(f", test is all of {seen}"):
            return {"fitted": fitted, "seen": seen, "without": [f"{fitted}|{seen}", fitted]}
    return None


def _series(document: dict[str, Any], detail: dict[str, Any]) -> list[dict[str, Any]]:
    """Every repeat of every series; whether all had settled stands once for all, the warm-up's queries one by one."""
    samples, warm_up = dict(document.get("samples") or {}), list(detail.get("warm_up") or ())
    settled = detail.get("settled") is not False
    warm_up += [0] * (len(samples) - len(warm_up))
    found = []
    for (name, values), before in zip(samples.items(), warm_up, strict=True):
        series, _, repeat = name.rpartition("/")
        found.append({"name": series, "repeat": int(repeat), "samples": values, "warm_up": before, "settled": settled})
    return found

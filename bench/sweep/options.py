"""A sweep's fields as options of a command line, with what a shell completes for them."""

from __future__ import annotations

import argparse

from bench.sweep.option import GROUPS
from bench.sweep.spec import Declared, declared
from export.command import complete


def add_all(p: argparse.ArgumentParser) -> dict[str, argparse._ArgumentGroup]:
    """Every field, in the groups that it belongs to; returns the groups by title."""
    groups = {title: p.add_argument_group(title) for title in GROUPS}
    for one in declared():
        _add(groups[one.option.group], one, one.default)
    return groups


def add(p: argparse.ArgumentParser | argparse._ArgumentGroup, *names: str, default: str = "") -> None:
    """Some fields, for a command that runs a part of a sweep; ``default`` is what the help says of them."""
    for one in declared():
        if one.name in names:
            _add(p, one, default)


def _add(p: argparse.ArgumentParser | argparse._ArgumentGroup, one: Declared, default: str) -> None:
    """One option. What is not given is None; texts become lists in :func:`bench.sweep.spec.parse`."""
    number: type[int] | type[float] | None = {"int": int, "float": float}.get(one.type)
    notes = (f" ({default})" if default else "") + ("; repeatable" if one.option.repeatable else "")
    option = p.add_argument(
        f"--{one.name.replace('_', '-')}",
        action="append" if one.option.repeatable else "store",
        type=number or str,
        metavar=one.option.metavar,
        help=one.option.help + notes,
    )
    if one.option.names:
        complete(option, one.option.names)

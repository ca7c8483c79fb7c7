"""A lazy table of plug-ins: name → "module:Class". Listing names imports nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Generic, TypeVar, cast

from export.errors import UserError, unknown

T = TypeVar("T")


class Registry(Generic[T]):
    """Plug-ins of one kind.

    Args:
        kind: what an entry is, for messages ("engine").
        table: name → ``"module:attribute"``, read only when the name is asked for.
        listing: the command that shows the names.
    """

    def __init__(self, kind: str, table: Mapping[str, str], listing: str) -> None:
        self.kind, self.listing = kind, listing
        self._table: dict[str, str] = {}
        for name, target in table.items():
            self.add(name, target)

    def add(self, name: str, target: str) -> None:
        """Add an entry. A name that is taken is refused: silently replacing one would change old results."""
        if name in self._table:
            raise ValueError(f"{self.kind} {name!r} is registered twice: {self._table[name]} and {target}")
        self._table[name] = target

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)

    def __contains__(self, name: object) -> bool:
        return name in self._table

    def get(self, name: str) -> T:
        """Import and return the entry ``name``.

        Raises:
            UserError: the name is not in the table; the nearest ones are suggested.
        """
        if name not in self._table:
            raise unknown(self.kind, name, self._table, self.listing)
        return cast(T, load_target(self._table[name], self.kind))


def load_target(target: str, kind: str) -> object:
    """Import ``"module:attribute"``.

    Raises:
        UserError: the text has no colon, or the module or the attribute does not exist.
    """
    module, colon, attribute = target.partition(":")
    if not colon or not module or not attribute:
        raise UserError(f"{target!r} is not a {kind}.", "The form is module:attribute.")
    try:
        found = import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not (module == error.name or module.startswith(error.name + ".")):
            raise  # the module exists; something inside it is missing, and that is not a wrong name
        raise UserError(f"No module {module!r} for the {kind} {target!r}.", "It is not on Python's path.") from error
    if not hasattr(found, attribute):
        raise UserError(f"Module {module!r} has no {attribute!r}.", f"Asked for as the {kind} {target!r}.")
    return getattr(found, attribute)

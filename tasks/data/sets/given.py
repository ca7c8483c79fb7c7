"""Named sets that nobody may hand on: the user has the folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from export.errors import Unavailable, UserError
from export.store import Store
from tasks.data.archives import from_archive
from tasks.data.files import Files, from_folder
from tasks.data.layout import Source
from tasks.data.named import NAMED
from tasks.data.sources import from_files


def source(name: str, folder: Path | None, store: Store) -> Source:
    """The user's copy of a named set of class folders; errors as :func:`copy`, or it holds no images."""
    return replace(from_files(name, copy(name, folder, store)), licence=NAMED[name].licence)


def copy(name: str, folder: Path | None, store: Store) -> Files:
    """The files of the user's copy of a named set, a folder or an archive.

    Raises:
        Unavailable: no folder was named.
        UserError: the folder is not there.
    """
    if folder is None:
        raise Unavailable(
            f"{name} cannot be downloaded by this program.",
            "Its owners require every user to accept their terms.",
            f"--data {NAMED[name].how}",
        )
    if not folder.exists():
        raise UserError(f"There is no folder {folder}.", f"It was given for {name}.")
    return from_folder(folder) if folder.is_dir() else from_archive(folder, store)

"""Paths of the user's, and whether files can be made there: checked before work begins, not after it."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from pathlib import Path

from export.errors import OutOfSpace, UserError

_LONGEST = "x" * 80
"""About as long as the names that are made inside a folder: a key, a process, and what write_atomic adds."""


def expanded(path: str | Path) -> Path:
    """The absolute path, with ``~`` for the user's home folder; links stay as they are.

    Raises:
        UserError: ``~`` of a user whose home folder is not known, or no path.
    """
    text = os.fspath(path)
    if "\0" in text:
        raise UserError(f"{text!r} is no path.", "It holds a zero byte.")
    home = os.path.expanduser(text)
    if home.startswith("~"):
        raise UserError(f"The home folder in {text!r} is not known.", _who(), "write the whole path")
    try:
        return Path(os.path.abspath(home))
    except OSError as error:
        raise UserError(f"The path {text!r} has no meaning here.", f"The working folder is gone: {error}.") from error


def home() -> Path:
    """The user's home folder.

    Raises:
        UserError: the environment does not name it, and the system does not know the user.
    """
    found = os.path.expanduser("~")
    if not os.path.isabs(found):
        raise UserError("The home folder of this user is not known.", _who(), "set HOME, or name folders by options")
    return Path(found)


def cache_home() -> Path:
    """The folder of the user's caches: ``$XDG_CACHE_HOME``, else ``~/.cache``.

    Raises:
        UserError: the variable is not a whole path; or as :func:`home`.
    """
    given = os.environ.get("XDG_CACHE_HOME")
    if not given:
        return home() / ".cache"
    if not os.path.isabs(os.path.expanduser(given)):
        raise UserError(
            f"XDG_CACHE_HOME is {given!r}, which is not a whole path.", "", "set it to one, or give --store DIR"
        )
    return expanded(given)


def require_writable(folder: Path, option: str, least: int) -> None:
    """Check that files can be made in a folder that is there or can be made; nothing is left in it.

    Args:
        folder: an absolute path. option: what names it on the command line, for the remedy.
        least: bytes that must be free.

    Raises:
        UserError: it is a file or lies below one, or cannot be written.
        OutOfSpace: too little is free.
    """
    try:
        there = _nearest(folder)
        with tempfile.TemporaryDirectory(prefix=".check.", dir=there) as probe:
            # as deep as it will be: a path has a longest length, and so has a name
            rest = Path(probe, *folder.relative_to(there).parts, _LONGEST)
            rest.parent.mkdir(parents=True, exist_ok=True)
            rest.write_bytes(b"?")
            free = shutil.disk_usage(probe).free
    except OSError as error:
        raise not_writable(error, folder, option) from error
    if free < least:
        raise OutOfSpace(
            f"Too little space is free for {folder}.",
            f"At least {least / 2**20:.0f} MiB are needed; {free / 2**20:.0f} MiB are free.",
            f"free some space, or give another folder with {option} DIR",
        )


def not_writable(error: OSError, folder: Path, option: str) -> UserError:
    """A sentence for an error of the system's while ``folder`` was written to."""
    remedy = f"another folder with {option} DIR"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutOfSpace(
            f"No space left on the disk for {folder}.", "The disk or the quota is full.", f"free some, or {remedy}"
        )
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return UserError(f"{folder} cannot be a folder.", f"{_blocking(folder)} is a file.", remedy)
    if error.errno == errno.ENAMETOOLONG:
        return UserError(f"The path of the folder is too long: …{str(folder)[-60:]}.", "", remedy)
    return UserError(f"The folder {folder} cannot be written.", f"{error.strerror or error}.", remedy)


def _nearest(folder: Path) -> Path:
    """The folder, or the nearest above it that is there."""
    for path in (folder, *folder.parents):
        if path.is_dir():
            return path
        if os.path.lexists(path):
            raise NotADirectoryError(errno.ENOTDIR, "is not a folder", str(path))
    return folder


def _blocking(folder: Path) -> Path:
    return next((path for path in (folder, *folder.parents) if path.exists() and not path.is_dir()), folder)


def _who() -> str:
    return f"HOME is {'empty' if 'HOME' in os.environ else 'not set'}, and user {os.getuid()} has no entry of its own."

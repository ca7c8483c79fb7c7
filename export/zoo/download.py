"""Files that a project serves at an address: downloaded once, resumed where it broke off, and always the same bytes.

A file without a pinned SHA-256 must keep the one that it had when it was downloaded first into a store.
"""

from __future__ import annotations

import errno
import http.client
import json
import shutil
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from export.errors import OutOfSpace, Unavailable, UserError
from export.progress import counting
from export.store import Entry, Store, key, sha256_file, write_atomic
from export.zoo.sources import UrlFile

TIMEOUT_S = 30.0
"""Without a byte for so long, a server counts as gone."""
ATTEMPTS = 4
"""Times that one download is taken up again by itself, as long as each brings something."""
_BLOCK = 1 << 20
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS)


def fetched(file: UrlFile, licence: str, store: Store) -> Path:
    """The file, from the store or from its address.

    Raises:
        Unavailable: the address cannot be reached, or has no such file; what came until then is kept.
        UserError: what came is not what was pinned, or what was there the first time.
        OutOfSpace: the disk is too small for it.
    """

    def build(folder: Path) -> dict[str, Any]:
        name = _name(file.url)
        store.say(f"fetching {file.url} ({licence or 'unknown licence'})")
        part = _part(file, store)
        _download(file.url, part, store)
        found, wanted = sha256_file(part), file.sha256 or recorded(file, store)
        if wanted and found != wanted:
            part.unlink()
            since = "It is pinned" if file.sha256 else "When it was downloaded first it was"
            raise UserError(
                f"{name} is not the file that it was.",
                f"Its SHA-256 is {found[:16]}…. {since} as {wanted[:16]}….",
                f"ask its authors, or name the file that you trust: --weights {name}",
            )
        shutil.move(part, folder / name)
        part.with_suffix(".json").unlink(missing_ok=True)
        write_atomic(_record(file, store), f"{found}\n".encode())
        return {"url": file.url, "licence": licence, "file": name, "sha256": found}

    entry = store.obtain("downloads", _key(file), build)
    return entry.file(entry.fields["file"])


def here(file: UrlFile, store: Store) -> bool:
    """Whether the store has the file. Nothing is downloaded."""
    found: Entry | None = store.try_load("downloads", _key(file))
    return found is not None


def recorded(file: UrlFile, store: Store) -> str:
    """The SHA-256 that the file had when it was downloaded first into this store; empty where it was not yet."""
    record = _record(file, store)
    return record.read_text("utf-8").strip() if record.is_file() else ""


def _key(file: UrlFile) -> str:
    return key("download", url=file.url, sha256=file.sha256)


def _record(file: UrlFile, store: Store) -> Path:
    return store.root / "urls" / f"{key('url', url=file.url)}.sha256"


def _part(file: UrlFile, store: Store) -> Path:
    """What has come so far; beside it, in ``….json``, what the server called that version of the file."""
    return store.root / "urls" / f"{_key(file)}.part"


def _name(url: str) -> str:
    return Path(unquote(urlsplit(url).path)).name or "download"


def _download(url: str, part: Path, store: Store) -> None:
    """Append to ``part`` until it is whole."""
    part.parent.mkdir(parents=True, exist_ok=True)
    why: BaseException | str = ""
    for _ in range(ATTEMPTS):
        before = part.stat().st_size if part.is_file() else 0
        try:
            missing = _append(url, part, store)
        except urllib.error.HTTPError as error:
            error.close()
            raise _unavailable(url, f"The server answers {error.code} {error.reason}.", 0) from error
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, OSError) and error.errno in _DISK:
                raise
            why, missing = getattr(error, "reason", error), 1
        else:
            why = f"{missing} bytes are missing"
        if not missing:
            return
        now = part.stat().st_size if part.is_file() else 0
        if now <= before:
            break
    raise _unavailable(url, f"{why}."[:200], part.stat().st_size if part.is_file() else 0)


def _append(url: str, part: Path, store: Store) -> int:
    """Ask for the rest and write it; how many bytes are missing after that."""
    known = part.with_suffix(".json")
    at = part.stat().st_size if part.is_file() else 0
    version = json.loads(known.read_text("utf-8"))["version"] if at and known.is_file() else ""
    request = urllib.request.Request(url, headers={"User-Agent": "backbones-deployed"})
    if at and version:  # without a version nobody can say whether the rest belongs to it
        request.add_header("Range", f"bytes={at}-")
        request.add_header("If-Range", version)
    try:
        answer = urllib.request.urlopen(request, timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise
        error.close()
        part.unlink()
        return 1
    with answer:
        resumed = answer.status == http.HTTPStatus.PARTIAL_CONTENT
        at = at if resumed else 0
        length = answer.headers.get("Content-Length")
        total = at + int(length) if length else None
        _require_space(url, part, (total or at) - at)
        version = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
        write_atomic(known, json.dumps({"url": url, "version": "" if version.startswith("W/") else version}).encode())
        with part.open("ab" if resumed else "wb") as target, counting(_name(url), _mib(total or 0), "MiB") as advance:
            shown = 0
            advance(_mib(at))
            while block := answer.read(_BLOCK):
                target.write(block)
                shown += len(block)
                if mib := _mib(shown):
                    advance(mib)
                    shown -= mib * _BLOCK
    return 0 if total is None else total - part.stat().st_size


def _mib(count: int) -> int:
    return count >> 20


def _require_space(url: str, part: Path, needed: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if free < needed:
        raise OutOfSpace(
            f"Too little space is free for {_name(url)}.",
            f"{_mib(needed)} MiB are needed; {_mib(free)} MiB are free in {part.parent}.",
            "free some space, or give another folder with --store DIR",
        )


def _unavailable(url: str, why: str, kept: int) -> Unavailable:
    again = f"the same command: it goes on after {kept / _BLOCK:.1f} MiB; or" if kept else "check the network; or"
    return Unavailable(
        f"{_name(url)} could not be downloaded.", f"{url}: {why}".replace("..", "."), f"{again} --weights FILE"
    )

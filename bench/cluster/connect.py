"""Ray while it is used: found or started, without its noise, and nothing of it left behind."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from engines.processor import cores
from export.errors import UserError, first_line, not_installed
from export.progress import say

HERE = "ray"
FOUND = "ray://auto"
PORT = 6379
"""Of a cluster's head, by Ray's default."""
PATIENCE = 5.0
"""Seconds in which the head has to answer."""
SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # no warning about what a later version will do
    "RAY_raylet_start_wait_time_s": "120",
}
OBJECTS_BYTES = 256 << 20
"""Of shared memory for values that move between processes of a cluster that is started here."""


def address(text: str) -> str:
    """What Ray is given to find the cluster of ``--on``; empty where one is started here.

    Raises:
        UserError: it is neither ``ray`` nor ``ray://auto`` nor ``ray://HOST:PORT``.
    """
    if text == HERE:
        return ""
    scheme, _, place = text.partition("://")
    host, _, port = place.partition(":")
    if scheme != "ray" or not host or not (port or str(PORT)).isdecimal():
        raise UserError(
            f"--on takes ray, {FOUND} or ray://HOST:PORT, not {text!r}.",
            "ray starts a cluster of this machine alone; the others join one that runs.",
            f"--on ray, or --on {FOUND} on a node of the cluster",
        )
    return "auto" if place == "auto" else f"{host}:{port or PORT}"


def look_for(on: str) -> None:
    """Refuse at once what cannot be a cluster's address.

    Raises:
        UserError: it is none, or nothing answers there.
        Unavailable: Ray is not installed.
    """
    place = address(on)
    if not find_spec("ray"):
        raise not_installed("ray")
    if place not in ("", "auto"):
        _require_listener(place)


@contextmanager
def connected(on: str) -> Iterator[None]:
    """Be a driver of the cluster while this is entered.

    Raises:
        UserError: there is no cluster at the address, or this machine is none of its nodes.
    """
    place = address(on)
    # one that is started here takes orders from this run alone; Ray would write a token into the home folder
    own = {} if place else {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    settings = SETTINGS | own
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    level = logging.getLogger("ray").level
    folder = "" if place else tempfile.mkdtemp(prefix="bob-ray-")  # short: sockets lie in it
    try:
        import ray

        logging.getLogger("ray").setLevel(logging.ERROR)
        _start(place, on, folder)
        try:
            yield
        finally:
            ray.shutdown()
    finally:
        logging.getLogger("ray").setLevel(level)
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
        if folder:
            shutil.rmtree(folder, ignore_errors=True)


def _start(place: str, on: str, folder: str) -> None:
    import ray

    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR, "configure_logging": False}
    try:
        if place:
            ray.init(address=place, **quiet)
        else:
            say("starting Ray on this machine")
            here: dict[str, Any] = {
                "num_cpus": cores(),
                "object_store_memory": OBJECTS_BYTES,
                "include_dashboard": False,
            }
            ray.init(address="local", _temp_dir=folder, **here, **quiet)
    except (ConnectionError, ValueError, RuntimeError, OSError) as error:
        what = f"No cluster can be joined at {on}." if place else "Ray does not start on this machine."
        raise UserError(what, first_line(error), "ray status, on a node of the cluster" if place else "") from error


def _require_listener(place: str) -> None:
    host, _, port = place.rpartition(":")
    try:
        socket.create_connection((host, int(port)), PATIENCE).close()
    except (OSError, OverflowError) as error:
        raise UserError(
            f"There is no Ray cluster at {place}.",
            f"Nothing answers there: {getattr(error, 'strerror', None) or error}.",
            f"ray start --head --port {PORT} on its first node, or --on ray for this machine alone",
        ) from error

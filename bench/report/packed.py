"""Data inside the page: JSON that a script element may hold, and what is long or binary, compressed."""

from __future__ import annotations

import gzip
import json
from base64 import b64encode
from html import escape
from typing import Any


def embedded(values: Any) -> str:
    """JSON that may stand inside a script element, whatever names it holds."""
    text = json.dumps(values, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def packed(data: bytes) -> str:
    """Bytes as gzip in base64: the page unpacks them when they are asked for."""
    return b64encode(gzip.compress(data, 6, mtime=0)).decode()


def element(name: str, data: bytes) -> str:
    """The script element that holds packed bytes."""
    return f'<script type="text/plain" id="{escape(name)}">{packed(data)}</script>'


def folded(summary: str, html: str) -> str:
    """HTML that is unpacked when the reader opens it: of a thousand cells it would be most of the page."""
    data = packed(html.encode())
    return f'<details><summary>{escape(summary)}</summary><div data-packed="{data}"></div></details>'

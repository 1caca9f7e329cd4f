"""The hub that models, tokenizers and datasets come from."""

from __future__ import annotations

import os
import socket
import urllib.parse
import urllib.request

_TIMEOUT_S = 5.0


def hub_answers() -> bool:
    """Whether the hub can be reached at all. Its own client tries for a minute before it gives up; behind a proxy only
    the client can tell."""
    if urllib.request.getproxies():
        return True
    address = urllib.parse.urlsplit(os.environ.get("HF_ENDPOINT") or "https://huggingface.co")
    try:
        socket.create_connection((str(address.hostname), address.port or 443), timeout=_TIMEOUT_S).close()
    except OSError:
        return False
    return True

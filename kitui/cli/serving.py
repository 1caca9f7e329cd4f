"""`kitui serve`: the app in a browser of this machine, through textual-serve.

It listens on the loopback address only. Whoever opens it must show a token, which is printed once: it stands in the
address after `#`, a part that browsers never send, so that it is in no request line, no log and no argument list. The
page hands it over once, for a cookie.
"""

from __future__ import annotations

import hmac
import logging
import secrets
import shlex
import socket
import sys
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from aiohttp import web
from textual_serve.server import Server

from engine.errors import LaunchError
from engine.records.workspace import Workspace

_COOKIE = "kitui_session"
_ADDRESS = "127.0.0.1"
_LOGIN = """<!doctype html><meta charset="utf-8"><title>kitui</title><body style="font-family: monospace">
<p id="said">One moment …</p>
<script>
fetch("/login", {method: "POST", body: location.hash.slice(1)}).then(answer => {
  if (answer.ok) location.replace("/");
  else said.textContent = "The token is wrong: open the address that kitui serve printed.";
});
</script>
"""
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def serve(workspace: Workspace, *, port: int, read_only: bool) -> None:
    """Serve until interrupted. LaunchError where the port is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_ADDRESS, port))
        except OSError as error:
            raise LaunchError(f"{error.strerror}.", key="--port", value=port, mend="Give another.") from None
    argv = [sys.executable, "-m", "kitui", "--workspace", str(workspace.root), *(["--read-only"] if read_only else [])]
    GuardedServer(shlex.join(argv), port).serve()


class GuardedServer(Server):
    """textual-serve's server behind a token; only requests that a browser of this machine makes to it come through."""

    def __init__(self, command: str, port: int) -> None:
        super().__init__(command, host=_ADDRESS, port=port, title="kitui")
        self.token = secrets.token_urlsafe(24)
        self._session = secrets.token_urlsafe(24)
        # Another name for this machine in a page from elsewhere (DNS rebinding) is not one of these.
        self._hosts = {f"{name}:{port}" for name in (_ADDRESS, "localhost")}

    def initialize_logging(self) -> None:
        logging.basicConfig(level=logging.WARNING)

    async def on_startup(self, app: web.Application) -> None:
        print(f"kitui is served at {self.public_url}/login#{self.token}", flush=True)
        print("Anybody who has this address can use it; ctrl+c ends it, and runs go on.", flush=True)

    async def _make_app(self) -> web.Application:
        app = await super()._make_app()
        app.middlewares.append(self._check)
        app.router.add_get("/login", self._show_login)
        app.router.add_post("/login", self._take_token)
        return app

    @web.middleware
    async def _check(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        origin = urlsplit(request.headers.get("Origin", "")).netloc
        if request.host not in self._hosts or (origin and origin not in self._hosts):
            raise web.HTTPForbidden(text="not from here")
        known = hmac.compare_digest(request.cookies.get(_COOKIE, ""), self._session)
        if known or request.path == "/login":
            return await handler(request)
        raise web.HTTPForbidden(text="open the address that kitui serve printed")

    async def _show_login(self, request: web.Request) -> web.Response:
        return web.Response(text=_LOGIN, content_type="text/html")

    async def _take_token(self, request: web.Request) -> web.Response:
        if not hmac.compare_digest((await request.text())[:100].encode(), self.token.encode()):
            raise web.HTTPForbidden(text="wrong token")
        answer = web.Response(text="welcome")
        answer.set_cookie(_COOKIE, self._session, httponly=True, samesite="Strict")
        return answer

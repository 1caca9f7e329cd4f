"""`kitui serve`: the app in a browser of this machine, through textual-serve.

It listens on the loopback address only. Whoever opens it must show a token, which is printed once: it stands in the
address after `#`, a part that browsers never send, so that it is in no request line, no log and no argument list. The
page hands it over once, for a cookie.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import secrets
import shlex
import socket
import sys
from collections.abc import Awaitable, Callable

from aiohttp import WSCloseCode, WSMessage, WSMsgType, web
from textual_serve.app_service import AppService
from textual_serve.server import Server

from engine.errors import LaunchError
from engine.records.workspace import Workspace

_COOKIE = "kitui_session"
_ADDRESS = "127.0.0.1"
_MOST_CELLS, _MOST_MESSAGE_BYTES, _MOST_TABS = 1_000, 2**20, 8
"""Columns or rows of a screen; of what a page sends at once; pages, each with an app of its own."""
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
    argv = ["env", f"KITUI_WORKSPACE={workspace.root}", sys.executable, "-m", "kitui"]
    argv += ["--read-only"] if read_only else []
    GuardedServer(shlex.join(argv), port).serve()


class GuardedServer(Server):
    """textual-serve's server behind a token; only requests that a browser of this machine makes to it come through."""

    def __init__(self, command: str, port: int) -> None:
        super().__init__(command, host=_ADDRESS, port=port, title="kitui")
        self.token = secrets.token_urlsafe(24)
        self._session = secrets.token_urlsafe(24)
        # Another name for this machine in a page from elsewhere (DNS rebinding) is not one of these.
        self._hosts = {f"{name}:{port}" for name in (_ADDRESS, "localhost")}
        self._origins = {f"http://{host}" for host in self._hosts}
        self._tabs: set[web.WebSocketResponse] = set()

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
        origin = request.headers.get("Origin")  # `null`, of a page in a sandbox, is not ours
        if request.host not in self._hosts or (origin is not None and origin not in self._origins):
            raise web.HTTPForbidden(text="not from here")
        shown = request.cookies.get(_COOKIE, "").encode(errors="surrogateescape")
        known = hmac.compare_digest(shown, self._session.encode())
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

    # The app behind a page: textual-serve's own handler believes any size, and waits for its pages when it is to end.

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        if len(self._tabs) >= _MOST_TABS:
            raise web.HTTPServiceUnavailable(text=f"{_MOST_TABS} pages are open already")
        tab = web.WebSocketResponse(heartbeat=15, max_msg_size=_MOST_MESSAGE_BYTES)
        await tab.prepare(request)
        self._tabs.add(tab)
        service = AppService(
            self.command,
            write_bytes=tab.send_bytes,
            write_str=tab.send_str,
            close=_closing(tab),
            download_manager=self.download_manager,
        )
        try:
            await service.start(*(_cells(request.query.get(name)) for name in ("width", "height")))
            async for message in tab:
                await _pass_on(message, tab, service)
        except (ConnectionError, asyncio.CancelledError):  # the page, or the server, is leaving
            pass
        finally:
            self._tabs.discard(tab)
            await service.stop()
            await tab.close()
        return tab

    async def on_shutdown(self, app: web.Application) -> None:
        for tab in [*self._tabs]:
            await tab.close(code=WSCloseCode.GOING_AWAY)


async def _pass_on(message: WSMessage, tab: web.WebSocketResponse, service: AppService) -> None:
    """What a page has sent, to its app; what is none of its messages is left out."""
    if message.type != WSMsgType.TEXT:
        return
    try:
        match message.json():
            case ["stdin", str(text)]:
                await service.send_bytes(text.encode(errors="replace"))
            case ["resize", {"width": width, "height": height}]:
                await service.set_terminal_size(_cells(width), _cells(height))
            case ["ping", sent]:
                await tab.send_json(["pong", sent])
            case ["blur", *_]:
                await service.blur()
            case ["focus", *_]:
                await service.focus()
    except (ValueError, RecursionError):  # no JSON
        return


def _cells(wanted: object) -> int:
    """Columns or rows, as many as a screen may have."""
    try:
        return min(max(1, int(str(wanted))), _MOST_CELLS)
    except ValueError:
        return 80


def _closing(tab: web.WebSocketResponse) -> Callable[[], Awaitable[None]]:
    async def close() -> None:
        await tab.close()

    return close

"""The app in a browser: a real server, its guard, and a real headless Chromium where there is one."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import psutil
import pytest

from tests.conftest import CommandLine, wait_until


class Served:
    def __init__(self, line: CommandLine) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.log = line.folder / "serve.log"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "kitui", "serve", "--port", str(self.port)],
            stdout=self.log.open("w"), stderr=subprocess.STDOUT, env=line.environment(PYTHONUNBUFFERED="1"),
        )  # fmt: skip
        wait_until(lambda: "#" in self.log.read_text(), 30, self.log.read_text)
        address = re.search(r"http\S+", self.log.read_text())
        assert address
        self.address = address[0]
        self.token = urlsplit(self.address).fragment
        self.url = f"http://127.0.0.1:{self.port}"


@pytest.fixture
def served(kitui: CommandLine) -> Iterator[Served]:
    server = Served(kitui)
    yield server
    server.process.terminate()
    server.process.wait(10)


async def test_only_who_has_the_token_comes_in(served: Served) -> None:
    async with aiohttp.ClientSession() as stranger:
        for path in ("/", "/ws", "/static/js/textual.js"):
            assert (await stranger.get(served.url + path)).status == 403
        assert (await stranger.post(f"{served.url}/login", data="guess")).status == 403
        assert (await stranger.get(served.url, headers={"Host": "evil.example"})).status == 403
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as owner:
        assert (await owner.post(f"{served.url}/login", data=served.token)).status == 200
        assert (await owner.get(served.url)).status == 200
        elsewhere = await owner.get(served.url, headers={"Origin": "http://evil.example"})
        assert elsewhere.status == 403
        text = await screen_text(owner, served)
    assert "No sweeps yet" in text
    assert served.token not in command_lines()
    assert served.log.read_text().count(served.token) == 1  # printed once, for the person


async def test_what_a_browser_elsewhere_or_nobody_would_send_is_refused(served: Served) -> None:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as owner:
        assert (await owner.post(f"{served.url}/login", data=served.token)).status == 200
        for origin in ("null", "https://127.0.0.1", f"http://evil.example:{served.port}", "file://", ""):
            assert (await owner.get(served.url, headers={"Origin": origin})).status == 403, origin
    host = f"Host: 127.0.0.1:{served.port}"
    request = f"GET / HTTP/1.1\r\n{host}\r\nCookie: kitui_session=\xe9\xff\r\n\r\n".encode("latin-1")
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(request)
    assert (await reader.readline()).split()[1] == b"403"
    writer.close()
    assert "Traceback" not in served.log.read_text()


async def test_a_screen_is_no_larger_than_screens_are_and_a_request_to_end_closes_it(served: Served) -> None:
    session = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))
    async with session:
        await session.post(f"{served.url}/login", data=served.token)
        address = f"{served.url}/ws?width=999999999&height=oops"
        async with session.ws_connect(address, headers={"Origin": served.url}, max_msg_size=0) as tab:
            app = await app_of(served)
            for message in ('["resize", {"width": 999999999, "height": 3}]', "[", "[]", '["resize", {"width": "x"}]',
                            '["stdin", 3]', "[" * 100_000):  # fmt: skip
                await tab.send_str(message)
            await tab.send_str('["ping", "there?"]')
            async with asyncio.timeout(30):
                while (message := await tab.receive()).type is not aiohttp.WSMsgType.TEXT:
                    assert message.type is aiohttp.WSMsgType.BINARY, message
            assert json.loads(message.data) == ["pong", "there?"]
            assert app.memory_info().rss < 400 * 2**20
            served.process.terminate()
            async with asyncio.timeout(10):
                while (await tab.receive()).type not in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED):
                    pass
    assert served.process.wait(10) == 0
    psutil.wait_procs([app], 10)
    assert not app.is_running()


async def app_of(served: Served) -> psutil.Process:
    """The app behind the page that is open."""
    async with asyncio.timeout(30):
        while True:
            for process in psutil.Process(served.process.pid).children(recursive=True):
                if process.name().startswith("python"):  # a shell starts it
                    return process
            await asyncio.sleep(0.1)


async def screen_text(session: aiohttp.ClientSession, served: Served) -> str:
    """What the app sends through the websocket until its first screen is there."""
    seen = b""
    async with session.ws_connect(f"{served.url}/ws?width=100&height=30", headers={"Origin": served.url}) as socket_:
        async with asyncio.timeout(30):
            async for message in socket_:
                seen += message.data if message.type == aiohttp.WSMsgType.BINARY else b""
                if b"No sweeps yet" in seen:
                    break
    return seen.decode(errors="replace")


def command_lines() -> str:
    parts = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            parts.append(path.read_bytes().decode(errors="replace"))
        except OSError:
            continue
    return "\n".join(parts)


def test_a_port_that_is_taken_is_said(kitui: CommandLine, served: Served) -> None:
    done = kitui("serve", "--port", served.port)
    assert (done.returncode, "--port" in done.stderr) == (3, True)


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("chromium"), reason="needs Chromium (Debian: apt-get install chromium)")
async def test_in_a_real_browser(served: Served, tmp_path: Path) -> None:
    """Log in by the printed address, see the app, press q: it ends there too."""
    browser = subprocess.Popen(
        ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0",
         "--disable-background-networking", f"--user-data-dir={tmp_path}", "--window-size=1200,800", served.address],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        port_file = tmp_path / "DevToolsActivePort"
        for _ in range(300):
            if port_file.exists() and port_file.read_text().strip():
                break
            await asyncio.sleep(0.1)
        port = port_file.read_text().split()[0]
        async with aiohttp.ClientSession() as session:
            page = await the_page(session, port)
            async with session.ws_connect(page, max_msg_size=2**26) as devtools:
                assert await until(devtools, "location.pathname == '/'")
                assert await until(devtools, "document.querySelector('.xterm') != null")
                assert await until(devtools, "document.body.classList.contains('-first-byte')")
                for _ in range(50):  # until letters are there, not an empty page
                    picture = await call(devtools, "Page.captureScreenshot", {"format": "png"})
                    if len(picture["data"]) > 20_000:
                        break
                    await asyncio.sleep(0.2)
                assert len(picture["data"]) > 20_000
                await call(devtools, "Runtime.evaluate", {"expression": "document.querySelector('textarea').focus()"})
                await call(devtools, "Input.insertText", {"text": "q"})
                assert await until(devtools, "document.body.classList.contains('-closed')")
    finally:
        browser.kill()
        browser.wait()


async def the_page(session: aiohttp.ClientSession, port: str) -> str:
    for _ in range(100):
        targets = json.loads(await (await session.get(f"http://127.0.0.1:{port}/json")).text())
        pages = [t for t in targets if t["type"] == "page"]
        if pages:
            return str(pages[0]["webSocketDebuggerUrl"])
        await asyncio.sleep(0.1)
    raise AssertionError("the browser opened no page")


async def call(devtools: aiohttp.ClientWebSocketResponse, method: str, params: dict[str, object]) -> dict[str, object]:
    await devtools.send_json({"id": 1, "method": method, "params": params})
    while True:
        answer = await devtools.receive_json(timeout=30)
        if answer.get("id") == 1:
            return dict(answer["result"])


async def until(devtools: aiohttp.ClientWebSocketResponse, expression: str) -> bool:
    for _ in range(150):
        answer = await call(devtools, "Runtime.evaluate", {"expression": expression})
        if answer["result"].get("value"):  # type: ignore[attr-defined]
            return True
        await asyncio.sleep(0.2)
    return False

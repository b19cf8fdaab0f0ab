"""A browser that is there already, a server for a folder, and pages opened with a record of what they do."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from playwright.sync_api import Error, sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, ConsoleMessage, Page, Playwright, Request, Response

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = [
    "--disable-gpu",
    "--disable-quic",
    "--force-color-profile=srgb",
    # No name leads anywhere, whoever asks: the page, or the browser on its own behalf.
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
    "--no-sandbox",  # a container's root may not open one; the pages are ours
]
MISSING = (
    "no Chromium or Chrome found: install one (Debian: apt-get install chromium; elsewhere Google Chrome), "
    "or give its path as CHROME"
)
HERE = {"127.0.0.1", "localhost"}


def launch(playwright: Playwright, *flags: str) -> Browser | None:
    """Start the machine's own Chromium or Chrome; None when there is none."""
    paths = [os.environ.get("CHROME"), *map(shutil.which, NAMES)]
    path = next(filter(None, paths), None)
    if path:
        return playwright.chromium.launch(executable_path=path, args=[*FLAGS, *flags])
    try:  # where macOS and Windows put Chrome
        return playwright.chromium.launch(channel="chrome", args=[*FLAGS, *flags])
    except Error:
        return None


class _Quiet(SimpleHTTPRequestHandler):
    """A file server that writes nothing, and lets nothing be kept for the next page."""

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-store")
        super().end_headers()

    def log_message(self, *_: Any) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *_: Any) -> None:
        """Say nothing when a page is closed before it is all there."""


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Serve a folder on a free port of this machine; gives the address, with no slash at its end."""
    with _Server(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@dataclass
class Visit:
    """A page, and what it did since it was opened."""

    page: Page
    theme: str
    outside: list[str] = field(default_factory=list)  # requests to other hosts
    failed: list[str] = field(default_factory=list)  # requests that got no good answer
    complaints: list[str] = field(default_factory=list)  # warnings and errors of the console
    answers: list[Response] = field(default_factory=list)

    def watch(self) -> None:
        self.page.on("request", self._request)
        self.page.on("requestfailed", self._failed)
        self.page.on("response", self._response)
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        self.page.on("websocket", lambda socket: self._ask(socket.url))

    def _ask(self, address: str) -> None:
        parts = urlsplit(address)
        local = parts.scheme in {"about", "blob", "data", "file"} or parts.hostname in HERE
        if not local:
            self.outside.append(address)

    def _request(self, request: Request) -> None:
        self._ask(request.url)

    def _failed(self, request: Request) -> None:
        self.failed.append(f"{request.url}: {request.failure}")

    def _response(self, response: Response) -> None:
        self.answers.append(response)
        if response.status >= 400:
            self.failed.append(f"{response.url}: {response.status}")

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(f"{message.type}: {message.text}")


@contextmanager
def visit(
    browser: Browser, address: str, *, theme: str = "light", width: int = 1280, **options: Any
) -> Iterator[Visit]:
    """Open a page as someone does who has never been here, and has chosen light or dark.

    Parameters
    ----------
    browser
        What `launch` gave.
    address
        http or file.
    theme
        "light" or "dark": what the system prefers, and what the page's own switch is set to.
    width
        Of the window, in CSS pixels.
    **options
        For the browser's context. Motion is reduced unless they say otherwise, so that nothing is looked at
        while it moves.
    """
    options = {"reduced_motion": "reduce"} | options
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=theme, locale="en-GB", **options
    )
    try:
        context.add_init_script(
            f"try {{ localStorage.mode = localStorage.theme = '{theme}' }} catch {{ /* a page without */ }}"
        )
        seen = Visit(context.new_page(), theme)
        seen.watch()
        seen.page.goto(address, wait_until="load")
        if options.get("java_script_enabled", True):
            settle(seen.page)
        yield seen
    finally:
        context.close()


def settle(page: Page) -> None:
    """Wait until fonts are there and what was due when the page had loaded has been painted."""
    ready = """async () => {
        await document.fonts.ready;
        await new Promise(done => requestAnimationFrame(() => setTimeout(done, 50)));
    }"""
    for _ in range(3):  # a page may lead on to another while it is asked
        with suppress(Error):
            page.wait_for_load_state("load")
            page.evaluate(ready)
            return
    raise TimeoutError(f"{page.url} does not settle")


@contextmanager
def jupyterlab(notebooks: Path, scratch: Path, *, seconds: float = 90) -> Iterator[str]:
    """Run JupyterLab on a folder; gives its address, to which `/lab/tree/NAME` can be added.

    Parameters
    ----------
    notebooks
        The folder to open.
    scratch
        An empty folder for all that Jupyter keeps, so that neither settings nor extensions of whoever runs
        the tests play a part.
    seconds
        How long to wait for the server.
    """
    folders = {name: str(scratch / name) for name in ("CONFIG", "DATA", "RUNTIME")}
    environment = os.environ | {f"JUPYTER_{name}_DIR": folder for name, folder in folders.items()}
    environment |= {
        "IPYTHONDIR": str(scratch / "ipython"),
        "JUPYTERLAB_SETTINGS_DIR": str(scratch / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(scratch / "workspaces"),
        "JUPYTER_NO_CONFIG": "1",
    }
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1"),
        "--ServerApp.port=0",
        "--IdentityProvider.token=",
        *("--LabApp.news_url=None", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"),
        *("--LabApp.extension_manager=readonly", str(notebooks)),
    ]
    log = scratch / "log.txt"
    with log.open("w", encoding="utf-8") as output:
        server = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield f"http://127.0.0.1:{_port(server, scratch / 'RUNTIME', log, seconds)}"
    finally:
        server.terminate()
        try:
            server.wait(5)  # it waits for kernels that have hardly started; they end when it does
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _port(server: subprocess.Popen[bytes], runtime: Path, log: Path, seconds: float) -> int:
    """Return the port, from the file that Jupyter writes once it listens."""
    deadline = time.monotonic() + seconds
    while server.poll() is None and time.monotonic() < deadline:
        for note in runtime.glob("jpserver-*.json"):
            with suppress(json.JSONDecodeError):  # not all of it is written yet
                return int(json.loads(note.read_text(encoding="utf-8"))["port"])
        time.sleep(0.1)
    raise RuntimeError(f"JupyterLab did not start:\n{log.read_text(encoding='utf-8')[-4000:]}")


if __name__ == "__main__":
    with sync_playwright() as started:
        browser = launch(started)
        sys.exit(f"harness: {MISSING}" if browser is None else 0)

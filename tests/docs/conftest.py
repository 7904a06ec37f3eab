"""The built site, and a browser that shows its page of networks; once for all tests of them."""

from __future__ import annotations

import functools
import http.server
import importlib.util
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from demo_page import settle

ROOT = Path(__file__).parents[2]
WAIT_MS = 120_000
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="session")
def site(tmp_path_factory) -> Path:
    """The pages, built as `make docs` does but elsewhere."""
    if importlib.util.find_spec("furo") is None:
        pytest.skip("make docs has not been run")
    folder = tmp_path_factory.mktemp("site")
    flags = "-W --keep-going -q -d".split()
    places = [str(folder / "doctrees"), str(ROOT / "docs"), str(folder / "html")]
    command = [sys.executable, "-m", "sphinx", *flags, *places]
    done = subprocess.run(command, cwd=str(ROOT), capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return folder / "html"


class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture(scope="session")
def address(site):
    """Where the built site is served."""
    if not (Path(sys.prefix) / "onnxruntime-web" / "ort.wasm.min.mjs").is_file():
        pytest.skip("no onnxruntime-web: tools/bootstrap.sh web fetches it")
    handler = functools.partial(Handler, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture(scope="session")
def browser():
    """A Chromium that the system brings."""
    if importlib.util.find_spec("playwright") is None:
        pytest.skip("no playwright: tools/bootstrap.sh browser installs it")
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip("no Chromium on the PATH; Debian, Ubuntu: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def tab(browser):
    """A page of its own, not yet opened."""
    page = browser.new_page()
    page.set_default_timeout(WAIT_MS)
    yield page
    page.close()


@pytest.fixture(scope="session")
def opened(browser, address):
    """The page, with its networks loaded; what it asked for, and what went wrong in it."""
    page = browser.new_page()
    page.set_default_timeout(WAIT_MS)
    page.requests, page.failures = [], []
    page.on("request", lambda request: page.requests.append(request.url))
    page.on("pageerror", lambda error: page.failures.append(error))
    page.goto(f"{address}/demo.html")
    settle(page)
    return page


@pytest.fixture
def page(opened):
    """The opened page as it began."""
    opened.set_viewport_size({"width": 1280, "height": 1000})
    opened.get_by_role("button", name="Reset").click()
    settle(opened)
    yield opened
    assert not opened.failures

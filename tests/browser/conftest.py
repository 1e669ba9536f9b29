"""A JupyterLab server and a browser, both real, for the tests of this folder."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import sync_playwright

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SETTINGS = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "notebook-extension/tracker": {"windowingMode": "none"},  # every cell stands in the page
}
STARTS_WITHIN_S = 60.0


@dataclass(frozen=True)
class Lab:
    """A server that runs.

    Parameters
    ----------
    url : of JupyterLab, without a slash at its end.
    token : that opens it.
    folder : of its notebooks, in a workspace of its own.
    """

    url: str
    token: str
    folder: Path


@pytest.fixture(scope="session")
def lab(tmp_path_factory, with_mlflow):
    """JupyterLab on 127.0.0.1, on a workspace with nothing of the user's: no settings, no state, no history."""
    own = tmp_path_factory.mktemp("lab")
    (own / "sapphire.toml").write_text('name = "test"\n')
    folder = own / "notebooks"
    folder.mkdir()
    for name, settings in SETTINGS.items():
        file = own / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(settings))
    places = {
        "HOME": own,
        "IPYTHONDIR": own / "ipython",
        "JUPYTER_CONFIG_DIR": own / "config",
        "JUPYTER_DATA_DIR": own / "data",
        "JUPYTER_RUNTIME_DIR": own / "runtime",
        "JUPYTERLAB_SETTINGS_DIR": own / "settings",
        "JUPYTERLAB_WORKSPACES_DIR": own / "workspaces",
        "SAPPHIRE_HOME": with_mlflow(own / "home"),
    }
    words = ["--no-browser", "--ip", "127.0.0.1", "--notebook-dir", str(folder), "--allow-root"]
    with (own / "server.log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *words],
            env={**os.environ, **{name: str(place) for name, place in places.items()}},
            cwd=own,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        about = _about(own / "runtime", server, own / "server.log")
        yield Lab(about["url"].rstrip("/"), about["token"], folder)
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait(20)


def _about(runtime: Path, server: subprocess.Popen, log: Path) -> dict:
    """What the server says of itself once it answers."""
    ends = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < ends and server.poll() is None:
        for file in runtime.glob("jpserver-*.json"):
            if "is running at" in log.read_text():
                return json.loads(file.read_text())
        time.sleep(0.1)
    pytest.fail(f"JupyterLab does not start:\n{log.read_text()[-2000:]}")


@pytest.fixture(scope="module")
def browser():
    """Chromium as it is installed, without a screen; its driver's event loop ends with the module."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.fail("no Chromium: install it (apt-get install chromium), or name its program in CHROMIUM")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=found,
            args=[
                "--no-sandbox",  # root may not have one; what is opened is our own
                "--disable-background-networking",
                "--disable-component-update",
                "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
            ],
        )
        yield started
        started.close()


@pytest.fixture(scope="module")
def context(browser):
    """A window of the browser; whatever it asks for has to lie on this machine."""
    made = browser.new_context(viewport={"width": 1280, "height": 900})
    made.set_default_timeout(30_000)
    asked: list[str] = []
    made.on("request", lambda request: asked.append(request.url))
    made.on("page", lambda page: page.on("websocket", lambda socket: asked.append(socket.url)))
    yield made
    away = [url for url in asked if urlsplit(url).scheme in ("http", "https", "ws", "wss")]
    assert away, "nothing was asked for"
    assert {urlsplit(url).hostname for url in away} == {"127.0.0.1"}

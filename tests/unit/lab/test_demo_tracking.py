"""MLflow's own server while the demo runs: what goes through it is in the state folder when it is gone."""

import os
import shutil
import socket
import subprocess

from sapphire.lab.demo.steps import Steps
from sapphire.lab.demo.tracking import tracking_server
from sapphire.registry.tracking import URI_VARIABLE, Tracking, models_page


def page_of(url, folder):
    """What Chromium shows at an address, once its scripts have run."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    words = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'browser'}"]
    words += ["--virtual-time-budget=20000", "--dump-dom", url]
    return subprocess.run([browser, *words], capture_output=True, text=True, timeout=120, check=True).stdout


def test_what_goes_through_the_server_stays_when_it_is_gone(with_mlflow, tmp_path, monkeypatch, capsys):
    with_mlflow(tmp_path)
    monkeypatch.delenv(URI_VARIABLE, raising=False)
    with tracking_server(tmp_path, tmp_path / "demo", Steps(total=1)) as server:
        server.wait()
        through = Tracking.of(tmp_path, os.environ)
        assert through.uri.startswith("http://127.0.0.1:")
        through.client().create_registered_model("research.trend")
        shown = page_of(models_page(through.uri), tmp_path)
        assert 'href="#/models/research.trend"' in shown, "the address that is printed opens on models"
        assert "#/prompts" not in shown, "and not among the pages for GenAI"
    assert URI_VARIABLE not in os.environ
    assert Tracking.of(tmp_path, os.environ).client().get_registered_model("research.trend").name == "research.trend"
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", int(through.uri.rsplit(":", 1)[1]))) != 0, "it has ended"
    assert "mlflow" in capsys.readouterr().err


def test_a_server_that_the_environment_names_is_used_and_left_alone(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(URI_VARIABLE, "http://127.0.0.1:9")
    with tracking_server(tmp_path, tmp_path / "demo", Steps(total=1)) as server:
        server.wait()
        assert os.environ[URI_VARIABLE] == "http://127.0.0.1:9"
    assert os.environ[URI_VARIABLE] == "http://127.0.0.1:9"
    assert "http://127.0.0.1:9" in capsys.readouterr().err
    assert not (tmp_path / "demo").exists()

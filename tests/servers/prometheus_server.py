"""A real Prometheus that scrapes the targets of a file."""

import json
import shutil
import subprocess
import time
from contextlib import contextmanager

import httpx

from sapphire.serving.ports import free_port

CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 900ms}}
scrape_configs:
  - job_name: sapphire
    file_sd_configs: [{{files: [{targets}], refresh_interval: 1s}}]
"""


class Prometheus:
    def __init__(self, url):
        self._http = httpx.Client(base_url=url, trust_env=False, timeout=10.0)

    def targets(self):
        """Health and the last error of each target, by its labels' part."""
        found = self._http.get("/api/v1/targets").json()["data"]["activeTargets"]
        return {each["labels"]["part"]: (each["health"], each["lastError"]) for each in found}

    def series(self, query):
        """The labels with the value of each series that a query finds now."""
        found = self._http.get("/api/v1/query", params={"query": query}).json()["data"]["result"]
        return [(each["metric"], float(each["value"][1])) for each in found]

    def is_ready(self):
        try:
            return self._http.get("/-/ready").is_success
        except httpx.TransportError:
            return False


@contextmanager
def prometheus(folder, targets):
    """Runs one whose data lies in `folder`; without its program the test fails."""
    program = shutil.which("prometheus")
    assert program is not None, "no prometheus on the PATH: make prometheus installs it"
    config, port = folder / "prometheus.yml", free_port(0)
    config.write_text(CONFIG.format(targets=json.dumps(str(targets))))
    words = [program, f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}",
             f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"]  # fmt: skip
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log)
    server = Prometheus(f"http://127.0.0.1:{port}")
    try:
        deadline = time.monotonic() + 30.0
        while not server.is_ready():
            output = (folder / "prometheus.log").read_text()
            assert process.poll() is None, output
            assert time.monotonic() < deadline, output
            time.sleep(0.05)
        yield server
    finally:
        process.terminate()
        process.wait(30)

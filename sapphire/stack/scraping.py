"""What Prometheus scrapes of a stack: a file that its `file_sd_configs` reads, and reads again whenever it changes.

::

    scrape_configs:
      - job_name: sapphire
        file_sd_configs: [{files: [".sapphire/stack/prometheus.json"]}]
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

__all__ = ["scrape_targets"]


def scrape_targets(facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One target for each part that tells metrics.

    Parameters
    ----------
    facts : of a run, as `stack.json` has them.

    Examples
    --------
    >>> parts = {"service": {"metrics": "http://engine:21004/metrics"}, "bus": {"metrics": None}}
    >>> scrape_targets({"venue": "embedded", "account": "paper", "keeper": None, "parts": parts})
    [{'targets': ['engine:21004'], 'labels': {'part': 'service', 'venue': 'embedded', 'account': 'paper'}}]
    """
    found = []
    addresses = {name: part["metrics"] for name, part in facts["parts"].items()}
    addresses["keeper"] = None if facts["keeper"] is None else f"{facts['keeper']}/metrics"
    for name, metrics in sorted(addresses.items()):
        if metrics is None:
            continue
        url = urlsplit(metrics)
        labels = {"part": name, "venue": facts["venue"], "account": facts["account"]}
        if url.path != "/metrics":
            labels["__metrics_path__"] = url.path
        found.append({"targets": [url.netloc], "labels": labels})
    return found

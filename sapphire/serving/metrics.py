"""Metrics of a bento: what BentoML counts, with the release that it serves on every series."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from prometheus_client.metrics_core import Metric

__all__ = ["with_labels"]


def with_labels(exposition: str, labels: Mapping[str, str]) -> str:
    r"""An exposition in Prometheus's text format with more labels on every series.

    Parameters
    ----------
    exposition : as a server gives it.
    labels : names and values; one that a series has already stays as it is.

    Examples
    --------
    >>> text = "# HELP up Whether it runs.\n# TYPE up gauge\nup 1.0\n"
    >>> print(with_labels(text, {"release": "abc"}), end="")
    # HELP up Whether it runs.
    # TYPE up gauge
    up{release="abc"} 1.0
    """
    from prometheus_client import generate_latest
    from prometheus_client.parser import text_string_to_metric_families
    from prometheus_client.registry import Collector

    class Labelled(Collector):
        def collect(self) -> Iterable[Metric]:
            for family in text_string_to_metric_families(exposition):
                family.samples = [each._replace(labels={**labels, **each.labels}) for each in family.samples]
                yield family

    return generate_latest(Labelled()).decode()

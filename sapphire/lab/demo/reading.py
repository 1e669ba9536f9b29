"""What agents that read need beside bars: news, and the answers of models that were recorded before."""

from __future__ import annotations

from pathlib import Path

from sapphire.agents.llm.workspace_models import workspace_recorder
from sapphire.agents.recordings import export_recording, import_recording
from sapphire.data import generated_news, import_documents
from sapphire.data.documents.generated import GENERATED_LICENCE, GENERATED_SOURCE
from sapphire.domain.clocks import from_ns
from sapphire.domain.display import counted
from sapphire.lab.demo.market import DemoMarket
from sapphire.lab.demo.steps import Steps

__all__ = ["prepare_reading", "record"]

_RECORDING = Path("recordings") / "four_agents.jsonl.xz"
"""Beside the notebooks: what models answered when the demo was made, by `make record-demo`."""


def prepare_reading(market: DemoMarket, notebooks: Path, steps: Steps, *, anew: bool) -> None:
    """Bring the news of the whole demo, and the recorded answers of its study unless these are to be made anew.

    Parameters
    ----------
    notebooks : folder of the demo's notebooks.
    anew : whether models are asked about everything.

    Raises
    ------
    EvidenceRefused : a recording that cannot be read.
    """
    windows = market.windows
    until_ns = windows.end_ns + (windows.paper + 1) * windows.interval.ns
    news = generated_news(market.symbols, from_ns(windows.start_ns), from_ns(until_ns), seed=market.seed)
    brought = import_documents(news, kind="news", source=GENERATED_SOURCE, licence=GENERATED_LICENCE)
    steps.note(f"{counted(brought.items, 'headline')}, generated: they know nothing of the market")
    recording = notebooks / _RECORDING
    if anew or not recording.is_file():
        steps.note("models are asked about every bar of the study: it takes some ten minutes more")
        return
    count = import_recording(recording, workspace_recorder().folder)
    steps.note(
        f"evidence comes from {counted(count, 'answer')} recorded in {recording.name}, which make record-demo makes "
        "again; what is not among them is asked now"
    )


def record(notebooks: Path, steps: Steps) -> None:
    """Keep what models answered in the study as the demo's recording."""
    count = export_recording(workspace_recorder(), notebooks / _RECORDING)
    steps.note(f"{counted(count, 'answer')} recorded in {_RECORDING}")

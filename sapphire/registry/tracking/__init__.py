"""Tracking: the MLflow that a state folder uses, and the pages that tell in it what was studied.

In:    pages: what a study asked and found, as plain values (research), gate reports and versions (registry).
Out:   runs and their children, pictures, descriptions; where each came from.
Never: fails a study, decides anything, keeps a place of this machine.

What is noted waits in the outbox beside the records, as small files. Whoever serves the pages delivers
it: loading MLflow takes seconds, which no look at an idea has to wait for.
"""

from sapphire.registry.tracking.addresses import models_page
from sapphire.registry.tracking.connection import URI_VARIABLE, Tracking
from sapphire.registry.tracking.lineage import NOTEBOOK_VARIABLE, lineage_tags, notebook_name
from sapphire.registry.tracking.outbox import Outbox
from sapphire.registry.tracking.pages import Page, Table

__all__ = [
    "NOTEBOOK_VARIABLE",
    "URI_VARIABLE",
    "Outbox",
    "Page",
    "Table",
    "Tracking",
    "lineage_tags",
    "models_page",
    "notebook_name",
]

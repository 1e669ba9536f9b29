"""Serving: releases behind HTTP, and the door that admits none without evidence.

In:    frozen releases and signed gate reports of a state folder; windows from callers or the shared cache of bars.
Out:   VIEW messages that carry the release's digest; its card; a readiness that golden outputs decide.
Never: serves a release whose files or gate report do not verify, answers before golden outputs match, fills in bars,
       batches requests, imports MLflow, sizes or sends an order.

Every name is loaded when it is first used, so that BentoML is loaded only where something is served.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

"""Runs: how a study asks an agent: by splits, walks, screens, and replays by the compiled engine."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

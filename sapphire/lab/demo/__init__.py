"""The demo: the whole loop on the embedded exchange, with nothing but this checkout.

In:    a seed, or any folder of candle files, named by the user or by `SAPPHIRE_RECORDINGS`.
Out:   a release that traded on paper, its report, and a summary of what was measured.
Never: shows a number that was not measured in this run, or leaves a process behind.

An unmodified ccxt trades on the exchange; the notebooks collect bars, write and train agents, replay a study's evidence
and promote a release to paper; the release then trades bars that no study has seen, through the real wire.
"""

from __future__ import annotations

from sapphire.lab.demo.running import run_demo

__all__ = ["run_demo"]

"""Judging: whether a run is what its evidence says.

In:    a run that was read, and its release.
Out:   the engine's replay of the same bars, parity lot by lot, reconciliation, the ladder of costs, paper days.
Never: explains a lot by a cause that the journal does not show, leaves a bad day out, draws.
"""

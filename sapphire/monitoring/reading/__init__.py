"""Reading: what a run left in its folder, as values.

In:    the service's journal and side files, the coordinator's decisions, the exchange's books, the market.
Out:   the traded run, its days, one order's trace.
Never: judges, draws, or changes a byte of what it reads.
"""

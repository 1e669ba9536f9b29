"""Ledger: every trial that was made, on which prices, what they say together, and sealed hold-outs."""

"""MCP Coordinator: views in, targets out, once for each closed bar.

In:    closed bars and the account's state (the bus), views of a release (its bento), a sizing that is handed in.
Out:   VIEW and HFT_SIGNAL messages with an end marker for each bar; one line of decisions.jsonl that says why.
       What is remembered from bar to bar (the newest belief of each symbol) stands in that line.
Never: sizes by itself, sends an order, trades a release whose evidence did not verify, decides a bar twice in two ways.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

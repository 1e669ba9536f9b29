"""Language models behind agents: questions, the models that answer them, and what agents show them.

In:    prompts and windows (agents), weights by digest, a server's address.
Out:   scores of choices and constrained texts, each recorded; contexts that hold what was knowable and nothing else.
Never: opens a socket or a file from inside an agent; guesses what a malformed output meant; downloads.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

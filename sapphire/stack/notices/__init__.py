"""Notices: what a person should hear of without looking, sent to the webhooks that `sapphire.toml` names.

In:    what a run says anyway: the bus's executions, the coordinator's decisions, the supervisor's `stack.json`.
Out:   HTTP requests to receivers, and `notices_state.json`: how far was read, what waits, what did not arrive.
Never: is waited for by anything that trades; repeats an address; loses a message without counting and saying so.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

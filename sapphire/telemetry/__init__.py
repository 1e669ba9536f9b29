"""Telemetry: the bus and what every room writes to it: messages, heartbeats, log lines; how parts are asked over HTTP;
and the runtime that Python parts are built on: settings, probes, metrics, drain.

In:    messages (domain) and the identity of what they are about.
Out:   streams whose entry ids are made of that identity, so that a retry is the same entry; refused messages kept in
       a stream of their own; log lines on stderr.
Never: drops a message in silence, takes another message under an entry's id, decides what a message means.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

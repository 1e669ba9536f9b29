"""Documents: news, announcements and notes from files and feeds, kept with when they could be read.

In:    JSON lines, CSV, RSS 2.0 and Atom 1.0, as files or bytes; whose they are and under what licence.
Out:   documents without markup and without personal data, each version once, under `$SAPPHIRE_HOME/data/documents`;
       those of a span, which a snapshot takes.
Never: keeps an author, an e-mail address or a phone number; guesses a time zone; imports half a file; shows a text
       whose retention is over; asks the network.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

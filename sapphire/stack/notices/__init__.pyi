from .notice import About as About, Notice as Notice
from .outbox import Outbox as Outbox
from .receivers import Receiver as Receiver, read_receivers as read_receivers
from .watch import Watch as Watch

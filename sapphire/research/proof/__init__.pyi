from .running import prove as prove
from .settings import Settings as Settings
from .verdicts import Proof as Proof

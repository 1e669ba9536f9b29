from .admission import Admitted as Admitted, admit as admit
from .runner import Runner as Runner, Standing as Standing
from .service import ReleaseService as ReleaseService, cpu_service as cpu_service
from .settings import Settings as Settings

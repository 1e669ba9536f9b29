from .asking import Asked as Asked, TwinSample as TwinSample, ask_panel as ask_panel
from .release_worker import ReleaseWorker as ReleaseWorker, learned_by as learned_by
from .worker import Worker as Worker

from .bus import Bus as Bus, Entry as Entry
from .heartbeats import Pulse as Pulse
from .http_client import Answer as Answer, HttpClient as HttpClient
from .logs import log_to_stderr as log_to_stderr
from .part_runtime import PartRuntime as PartRuntime
from .part_settings import PartSettings as PartSettings
from .signal_keys import SignalKey as SignalKey
from .streams import EntryId as EntryId

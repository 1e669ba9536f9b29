from .binaries import engine_binary as engine_binary
from .ccxt_settings import ccxt_config as ccxt_config
from .conductor import Conductor as Conductor, Driven as Driven, Moment as Moment, Phase as Phase
from .control import Advanced as Advanced, Control as Control, Credentials as Credentials
from .exchange import Exchange as Exchange, ExchangeAddress as ExchangeAddress
from .journal import (
    journal_entries as journal_entries,
    journal_rows as journal_rows,
    replay_journal as replay_journal,
    verify_journal as verify_journal,
)
from .service import Service as Service, ServiceSettings as ServiceSettings

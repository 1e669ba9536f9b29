__all__: list[str]

from .agent import (
    Agent as Agent,
    agent_name as agent_name,
    code_digest as code_digest,
    fitted as fitted,
    own_sources as own_sources,
)
from .agent_files import load_agent_file as load_agent_file, load_agent_source as load_agent_source
from .arrays import Arrays as Arrays
from .baselines import BuyAndHold as BuyAndHold, Cash as Cash, RandomWalk as RandomWalk
from .calibrated import Calibrated as Calibrated
from .catalogue import Entry as Entry, agent_class as agent_class, list_agents as list_agents, resolve as resolve
from .deepseek import DeepSeek as DeepSeek
from .fingpt import FinGpt as FinGpt
from .forecasts import (
    beliefs_from as beliefs_from,
    forecast_of as forecast_of,
    forecast_panel as forecast_panel,
    normal_from_quantiles as normal_from_quantiles,
)
from .lag_llama import LagLlama as LagLlama
from .lag_llama_weights import convert_lag_llama as convert_lag_llama, load_lag_llama as load_lag_llama
from .leak_report import LeakCheck as LeakCheck, LeakReport as LeakReport
from .leaks import (
    check_agent as check_agent,
    feature_parity as feature_parity,
    fit_test as fit_test,
    order_test as order_test,
    truncation_test as truncation_test,
    twin_test as twin_test,
    warmup_test as warmup_test,
)
from .model_calls import backed_by as backed_by
from .models import (
    Backend as Backend,
    InProcess as InProcess,
    Model as Model,
    Reply as Reply,
    ask_model as ask_model,
    ask_models as ask_models,
)
from .moving_average import MovingAverageCross as MovingAverageCross
from .panels import (
    features_of as features_of,
    horizon_bars as horizon_bars,
    kind_stated as kind_stated,
    outcomes_bps as outcomes_bps,
    view_panel as view_panel,
    views_at as views_at,
    window_at as window_at,
    window_panel as window_panel,
)
from .parameters import (
    duration_text as duration_text,
    plain_parameters as plain_parameters,
    read_parameters as read_parameters,
)
from .pool import Pool as Pool
from .pooling import Pooling as Pooling, pooled as pooled
from .published_lag_llama import PublishedLagLlama as PublishedLagLlama
from .qwen import Qwen as Qwen
from .recorder import Recorder as Recorder, recording as recording
from .release import LoadedRelease as LoadedRelease, freeze as freeze, load_release as load_release
from .sources import Source as Source
from .student_t import StudentT as StudentT
from .view_panels import Kind as Kind, ViewPanel as ViewPanel

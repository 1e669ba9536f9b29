from .pod_plan import PodPlan as PodPlan
from .pod import Pod as Pod, exchange_words as exchange_words

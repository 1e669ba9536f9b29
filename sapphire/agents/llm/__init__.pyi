__all__: list[str]

from .adapter_training import TrainedAdapter as TrainedAdapter, accuracy as accuracy, train_adapter as train_adapter
from .default_model import EMBEDDED_DEFAULT as EMBEDDED_DEFAULT, PACKAGED as PACKAGED
from .in_process import TransformersBackend as TransformersBackend
from .packaged import models_folder as models_folder, packaged_model as packaged_model
from .vllm_backend import VllmBackend as VllmBackend

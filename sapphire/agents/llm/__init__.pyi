__all__: list[str]

from .packaged import (
    EMBEDDED_DEFAULT as EMBEDDED_DEFAULT,
    PACKAGED as PACKAGED,
    models_folder as models_folder,
    packaged_model as packaged_model,
)

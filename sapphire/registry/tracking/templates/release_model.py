"""A release of Sapphire as a model of MLflow: it answers a table of bars with what the agents think of each symbol.

It loads where Sapphire itself is installed and `SAPPHIRE_HOME` names the state folder with the release's evidence:
the gate report is verified there, as at every other door. MLflow runs this file; the release lies beside it.
"""

from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.protos.databricks_pb2 import INTERNAL_ERROR, INVALID_PARAMETER_VALUE, PERMISSION_DENIED
from mlflow.pyfunc.model import PythonModel, PythonModelContext

try:
    from sapphire.domain.errors import AgentError, Refused, SapphireError
    from sapphire.serving.scoring import ScoredRelease
except ModuleNotFoundError as error:
    raise MlflowException(
        "this model needs Sapphire itself, which is on no package index: what has its name there is a stranger's. "
        "Install it from its repository, and serve the model in that environment: --env-manager local"
    ) from error


class ReleaseModel(PythonModel):
    """In: bars, one row per time and symbol. Out: views, one row per symbol that the release says something of."""

    def load_context(self, context: PythonModelContext) -> None:
        """Verify the release and its gate report, and make its golden outputs again; refuse otherwise."""
        config = context.model_config
        self._release = ScoredRelease(Path(context.artifacts["release"]), config["release"], stage=config["stage"])

    def predict(
        self,
        context: PythonModelContext,
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> pd.DataFrame:
        """The release's views of the latest bar."""
        try:
            return self._release.views(model_input)
        except SapphireError as error:
            code = PERMISSION_DENIED if isinstance(error, Refused) else INVALID_PARAMETER_VALUE
            raise MlflowException(
                str(error), error_code=INTERNAL_ERROR if isinstance(error, AgentError) else code
            ) from None


set_model(ReleaseModel())

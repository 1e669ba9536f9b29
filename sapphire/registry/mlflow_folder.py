"""The folder `mlflow/`: gate policies, cards of models, the configuration of a team's server.

A workspace may have its own; what it leaves out is the repository's. A package that was installed has them with it.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sapphire.domain.errors import ConfigError

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["fill_card", "mlflow_file"]

_OWN = (Path(__file__).parents[2] / "mlflow", Path(__file__).parent / "mlflow_files")


def mlflow_file(name: str) -> Path:
    """A file of the folder, such as "server/server.toml": the workspace's, else the repository's.

    Raises
    ------
    ConfigError : it is in none of them, or what the workspace's settings say cannot be meant.
    """
    from sapphire.domain.workspace import find_workspace

    workspace = find_workspace()
    places = [*([workspace / "mlflow"] if workspace is not None else []), *_OWN]
    for place in places:
        if (place / name).is_file():
            return place / name
    raise ConfigError(
        f"no mlflow/{name}",
        expected="the file in the workspace or in the package",
        got=" and ".join(str(place) for place in places) + " do not have it",
        next="copy it from the repository, or install Sapphire again",
    )


def fill_card(name: str, /, **values: Any) -> str:
    """The text of a card, markdown: the template `mlflow/cards/NAME.md` (Jinja) with these values.

    Raises
    ------
    ConfigError : a template that cannot be filled; says where.
    """
    from jinja2 import TemplateError

    path = mlflow_file(f"cards/{name}.md")
    try:
        return _environment().from_string(path.read_text(encoding="utf-8")).render(values).strip()
    except (TemplateError, TypeError, ValueError) as error:
        line = getattr(error, "lineno", None)
        raise ConfigError(
            f"the card {path} cannot be filled",
            expected=f"a Jinja template of {', '.join(sorted(values))}",
            got=f"{f'line {line}: ' if line else ''}{error}",
            next="compare it with mlflow/cards of the repository",
        ) from error


@lru_cache(maxsize=1)
def _environment() -> Environment:
    """Templates see the values that they are handed and nothing of Python; a name that is not there is an error."""
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    made = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)  # markdown, not HTML
    made.filters["percent"] = lambda value: f"{value:+.2f} %"
    return made

"""Roles: who may write what in a team's MLflow.

    quant      creates and edits all but `paper.*` and `live.*`
    promoter   the same, and manages `paper.*` and `live.*`: moves aliases, writes versions, tags and bytes
    reader     reads

Everybody reads. `admin` may all, and gives the roles.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

__all__ = ["PROMOTER", "QUANT", "ROLES", "WORKSPACE", "Role", "is_traded", "shared_with"]

Role = Literal["quant", "promoter", "reader"]
WORKSPACE: Final = "default"
"""MLflow's name of the one that there is where workspaces are not used."""
ROLES: Final[tuple[Role, ...]] = get_args(Role)
QUANT: Final[Role] = "quant"
PROMOTER: Final[Role] = "promoter"
_TRADED = ("paper.", "live.")


def is_traded(name: str) -> bool:
    """Whether a model or an experiment belongs to what trades.

    Examples
    --------
    >>> is_traded("paper.trend"), is_traded("research.trend"), is_traded("papers")
    (True, False, False)
    """
    return name.casefold().startswith(_TRADED)


def shared_with(name: str) -> dict[Role, str]:
    """Role to MLflow's permission on a model or an experiment of this name, whoever made it.

    Examples
    --------
    >>> shared_with("live.trend"), shared_with("research.trend")
    ({'promoter': 'MANAGE'}, {'quant': 'EDIT', 'promoter': 'EDIT'})
    """
    return {PROMOTER: "MANAGE"} if is_traded(name) else {QUANT: "EDIT", PROMOTER: "EDIT"}

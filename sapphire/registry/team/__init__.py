"""The MLflow that a team shares: on PostgreSQL, with users and roles.

In:    what `mlflow/server` says; database, administrator's password and secret key from the environment or from files.
Out:   a server whose users are quants, promoters and readers; only promoters write `paper.*` and `live.*`.
Never: keeps or shows a password, lets a client to the database around the permissions.

Roles are MLflow's own, and so are the permissions on what there is. What MLflow cannot say, because a name is nobody's
until it is taken, is said here: who may create something, and who may give it a name of `paper.*` or `live.*`.
"""

from sapphire.registry.team.roles import ROLES, Role
from sapphire.registry.team.settings import TeamServer
from sapphire.registry.team.users import TeamUsers, User

__all__ = ["ROLES", "Role", "TeamServer", "TeamUsers", "User"]

"""Users of a team's MLflow: made, given their role and what belongs to it; asked again, nothing changes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from warnings import catch_warnings

from sapphire.domain.errors import AccessDenied, ConfigError, Refused
from sapphire.registry.team.roles import PROMOTER, ROLES, WORKSPACE, Role, is_traded, shared_with
from sapphire.registry.team.settings import SHORTEST_PASSWORD
from sapphire.registry.tracking import URI_VARIABLE, Tracking
from sapphire.registry.tracking.access import USER_VARIABLE, access_checked, every, shown_uri

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.server.auth.client import AuthServiceClient

__all__ = ["TeamUsers", "User"]

_ADMIN = "admin"
_OK = 200
_WITHIN_S = 60.0
_CURRENT, _LIST = "/api/2.0/mlflow/users/current", "/api/2.0/mlflow/users/list"


@dataclass(frozen=True, slots=True)
class User:
    """Somebody, or a part, that asks MLflow.

    Parameters
    ----------
    name : who.
    role : what they may.
    password : of at least twelve characters.
    """

    name: str
    role: Role
    password: str = field(repr=False)

    def __post_init__(self) -> None:
        if self.name == _ADMIN or not self.name:
            raise Refused("admin gives roles and has none", expected="another user's name", got=repr(self.name))
        if len(self.password) < SHORTEST_PASSWORD:
            raise Refused(
                f"the password of {self.name} is too short",
                expected=f"{SHORTEST_PASSWORD} characters or more",
                got=f"{len(self.password)}",
            )


@dataclass(frozen=True, slots=True)
class TeamUsers:
    """Who may ask a team's MLflow, as its administrator sees it.

    Parameters
    ----------
    uri : of the server.
    service : MLflow's client of users and roles.
    client : MLflow's client of the rest.
    """

    uri: str
    service: AuthServiceClient
    client: MlflowClient

    @classmethod
    def of(cls, tracking: Tracking) -> TeamUsers:
        """Those of a server.

        Raises
        ------
        ConfigError : no server is named, or it has no users.
        AccessDenied : it does not take the credentials, or they are not of an administrator.
        """
        if not tracking.uri.startswith("http"):
            raise _no_users("the state folder's own records")
        with catch_warnings(action="ignore"):  # of MLflow's server, which its client of users loads
            from mlflow.server.auth.client import AuthServiceClient

        from mlflow.exceptions import MlflowException

        made = cls(tracking.uri, AuthServiceClient(tracking.uri), tracking.client())
        try:
            with access_checked(tracking.uri):
                who = made._ask(_CURRENT)["user"]
        except MlflowException as error:
            if error.error_code != "ENDPOINT_NOT_FOUND":
                raise
            raise _no_users(f"a server without them, {shown_uri(tracking.uri)}") from error
        if not who.get("is_admin"):
            raise AccessDenied(
                f"MLflow does not permit {who.get('username')} to make users",
                expected=f"{_ADMIN}, or another administrator, in {USER_VARIABLE}",
                got=f"{who.get('username')}, who is none",
            )
        return made

    def provide(self, users: Sequence[User]) -> list[str]:
        """Make roles and users as they shall be; what changed, a line each.

        What there is already is shared with the roles, as what comes later is when it is created. Users who are not
        named stay as they are.
        """
        with access_checked(self.uri):
            roles, changed = self._roles()
            changed += self._share(roles)
            for user in users:
                changed += self._provide(user, roles)
        return changed

    def all(self) -> list[tuple[str, str]]:
        """User and role, by name; administrators have "admin", who has no role of these "none"."""
        with access_checked(self.uri):
            found = self._ask(_LIST)["users"]
        return sorted((each["username"], _called(each)) for each in found)

    def _roles(self) -> tuple[dict[str, int], list[str]]:
        """Id of each role, made where it is not there."""
        there = {role.name: int(role.id) for role in self.service.list_roles(WORKSPACE)}
        new = [name for name in ROLES if name not in there]
        for name in new:
            there[name] = int(self.service.create_role(WORKSPACE, name).id)
        return there, [f"role {name} made" for name in new]

    def _share(self, roles: dict[str, int]) -> list[str]:
        """Let the roles have their permissions on what there is."""
        granted: dict[Role, dict[tuple[str, str], Any]] = {
            role: {(each.resource_type, each.resource_pattern): each for each in self._granted(roles[role])}
            for role in ROLES
        }
        changed = []
        for kind, what, name in self._things():
            wanted = shared_with(name)
            for role, permissions in granted.items():
                has = permissions.get((kind, what))
                if has is not None and has.permission != wanted.get(role):
                    self.service.remove_role_permission(int(has.id))
                    has = None
                if role in wanted and has is None:
                    self.service.add_role_permission(roles[role], kind, what, wanted[role])
                    changed.append(f"{role} may {wanted[role]} {kind} {name}")
        return changed

    def _granted(self, role: int) -> list[Any]:
        return list(self.service.list_role_permissions(role))

    def _provide(self, user: User, roles: dict[str, int]) -> list[str]:
        changed = self._password(user)
        has = {role.name for role in self.service.list_user_roles(user.name)} & set(ROLES)
        for role in sorted(has - {user.role}):
            self.service.unassign_role(user.name, roles[role])
            changed.append(f"{user.name} is {role} no more")
        if PROMOTER in has and user.role != PROMOTER:
            self._take_back(user.name)
        if user.role not in has:
            self.service.assign_role(user.name, roles[user.role])
            changed.append(f"{user.name} is {user.role}")
        return changed

    def _password(self, user: User) -> list[str]:
        from mlflow.exceptions import MlflowException

        try:
            self.service.create_user(user.name, user.password)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        else:
            return [f"user {user.name} made"]
        if self._takes(user):
            return []
        self.service.update_user_password(user.name, user.password)
        return [f"{user.name} has another password"]

    def _take_back(self, user: str) -> None:
        """Take what MLflow gave a promoter as whoever made something that trades."""
        from mlflow.exceptions import MlflowException

        for kind, what, name in self._things():
            if is_traded(name):
                with suppress(MlflowException):  # it was not given
                    self.service.revoke_user_permission(user, kind, what)

    def _takes(self, user: User) -> bool:
        """Whether the server takes a user's password."""
        import requests

        who = (user.name, user.password)
        return requests.get(f"{self.uri}{_CURRENT}", auth=who, timeout=_WITHIN_S).status_code == _OK

    def _ask(self, endpoint: str) -> Any:
        return self.service._request(endpoint, "GET")

    def _things(self) -> list[tuple[str, str, str]]:
        """Kind, id and name of every model and experiment."""
        models = [
            ("registered_model", str(each.name), str(each.name)) for each in every(self.client.search_registered_models)
        ]
        found = every(self.client.search_experiments)
        return models + [("experiment", str(each.experiment_id), str(each.name)) for each in found]


def _no_users(got: str) -> ConfigError:
    return ConfigError(
        "this MLflow has no users",
        expected=f"the address of a team's server in {URI_VARIABLE}",
        got=got,
        next="at home whoever owns the state folder may all; sapphire mlflow --help says what a team's server needs",
    )


def _called(user: dict[str, Any]) -> str:
    if user.get("is_admin"):
        return _ADMIN
    roles = sorted({role["name"] for role in user.get("roles", ())} & set(ROLES))
    return ", ".join(roles) or "none"

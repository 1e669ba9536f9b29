"""Guard: what is asked of a team's server before MLflow's own permissions, and given after something was created.

MLflow's permissions are on what there is, by its exact name: whoever creates `paper.new` would manage it. So a name of
`paper.*` or `live.*` is taken by promoters alone, and nothing is created by who has no role. What was created is shared
with the roles that work on it. The guard only ever refuses more than MLflow does.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from sapphire.registry.team.roles import PROMOTER, QUANT, ROLES, WORKSPACE, is_traded, shared_with

if TYPE_CHECKING:
    from flask import Flask, Response

__all__ = ["guard"]

_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_CREATE = "/create"
_NAMED = ("/mlflow/registered-models/", "/mlflow/model-versions/", "/mlflow/experiments/")
_MODELS, _EXPERIMENTS = "/mlflow/registered-models/create", "/mlflow/experiments/create"
_METRICS = "/metrics"
_PROMPT = "mlflow.prompt.is_prompt"
_FORBIDDEN = 403
_DONE = 200


def guard(app: Flask) -> None:
    """Put the guard behind the authentication of MLflow's application, which must be there already.

    MLflow lets administrators alone see what it has no rule for, its own metrics among it; those any user may read.
    """
    from mlflow.server import auth

    auth.BEFORE_REQUEST_VALIDATORS[(_METRICS, "GET")] = lambda: True
    app.before_request(_before)
    app.after_request(_after)


def _before() -> Response | None:
    from flask import g, request

    user = getattr(g, "mlflow_authenticated_user", None)
    if user is None or request.method in _READS or _is_admin(user):
        return None
    roles = _roles(user)
    if _crosses(request):
        return _refuse("nothing is renamed into or out of paper.* and live.*: sapphire promote copies a release there")
    if PROMOTER in roles:
        return None
    if request.path.endswith(_CREATE) and QUANT not in roles:
        return _refuse(f"{user} reads; creating something needs the role {QUANT} or {PROMOTER}")
    taken = [name for name in _names(request) if is_traded(name)]
    if taken and any(part in request.path for part in _NAMED):
        return _refuse(f"{taken[0]} is written by the role {PROMOTER}; {user} has {', '.join(sorted(roles)) or 'none'}")
    return None


def _after(response: Response) -> Response:
    """Share what was created with the roles that work on it."""
    from flask import request

    if request.method == "POST" and response.status_code == _DONE:
        if request.path.endswith(_MODELS):
            made = json.loads(response.get_data())["registered_model"]
            if not any(tag.get("key") == _PROMPT for tag in made.get("tags", ())):
                _share("registered_model", made["name"], made["name"])
        elif request.path.endswith(_EXPERIMENTS):
            _share("experiment", json.loads(response.get_data())["experiment_id"], _body(request)["name"])
    return response


def _share(kind: str, what: str, name: str) -> None:
    from mlflow.exceptions import MlflowException
    from mlflow.server import auth

    wanted = shared_with(name)
    for role in auth.store.list_roles([WORKSPACE]):
        if role.name in wanted:
            with suppress(MlflowException):  # it has it already
                auth.store.add_role_permission(role.id, kind, what, wanted[role.name])


def _roles(user: str) -> set[str]:
    from mlflow.server import auth

    return {role.name for role in auth.store.list_user_roles(auth.store.get_user(user).id)} & set(ROLES)


def _is_admin(user: str) -> bool:
    from mlflow.server import auth

    return bool(auth.store.get_user(user).is_admin)


def _refuse(why: str) -> Response:
    from flask import jsonify

    response = jsonify({"error_code": "PERMISSION_DENIED", "message": why})
    response.status_code = _FORBIDDEN
    return response


def _crosses(request: Any) -> bool:
    """Whether a request gives something that trades another kind of name, or the other way round."""
    new = _body(request).get("new_name")
    old = [name for name in _names(request) if name != new]
    return isinstance(new, str) and any(is_traded(name) != is_traded(new) for name in old)


def _names(request: Any) -> list[str]:
    """Every name that a request gives to something, or calls it by."""
    body = _body(request)
    values = [*(body.get(key) for key in ("name", "new_name")), *request.args.getlist("name")]
    named = [name for name in values if isinstance(name, str)]
    if "/mlflow/experiments/" in request.path and "experiment_id" in body:
        named.append(_experiment(str(body["experiment_id"])))
    return named


def _experiment(experiment_id: str) -> str:
    from mlflow.exceptions import MlflowException
    from mlflow.server.handlers import _get_tracking_store

    try:
        return str(_get_tracking_store().get_experiment(experiment_id).name)  # type: ignore[no-untyped-call]
    except MlflowException:
        return ""


def _body(request: Any) -> dict[str, Any]:
    found = request.get_json(silent=True, force=True)
    return found if isinstance(found, dict) else {}

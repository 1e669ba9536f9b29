"""What a team's MLflow server is told, before it starts; with users it is tried in tests/servers."""

from __future__ import annotations

from pathlib import Path

import pytest

from sapphire.cli import main
from sapphire.domain.errors import ConfigError, Refused
from sapphire.registry.team import TeamServer, TeamUsers, User
from sapphire.registry.tracking import Outbox, Tracking

SECRET = "a-secret-of-the-tests"
DATABASE = f"postgresql://mlflow:{SECRET}@db.lan:5432/mlflow"
VARIABLES = {
    "MLFLOW_BACKEND_STORE_URI": DATABASE,
    "MLFLOW_AUTH_ADMIN_PASSWORD": SECRET,
    "MLFLOW_FLASK_SERVER_SECRET_KEY": SECRET,
}


def test_no_database_is_no_team(tmp_path: Path) -> None:
    assert TeamServer.read(tmp_path, {}) is None


def test_what_the_environment_says(tmp_path: Path) -> None:
    server = TeamServer.read(tmp_path, VARIABLES)
    assert server is not None
    assert (server.database, server.artifacts) == (DATABASE, str(tmp_path / "mlflow" / "artifacts"))
    assert server.place == "db.lan:5432, database mlflow"
    assert SECRET not in repr(server)
    more = VARIABLES | {
        "MLFLOW_SERVER_ALLOWED_HOSTS": "a.lan:5000, b.lan",
        "MLFLOW_ARTIFACTS_DESTINATION": "/srv/bytes",
    }
    wider = TeamServer.read(tmp_path, more)
    assert wider is not None
    assert (wider.allowed_hosts, wider.artifacts) == (("a.lan:5000", "b.lan"), "/srv/bytes")


def test_secrets_lie_in_files_that_only_their_owner_can_read(tmp_path: Path) -> None:
    files = {}
    for name, value in VARIABLES.items():
        path = tmp_path / name
        path.write_text(f"{value}\n")
        path.chmod(0o600)
        files[f"{name}_FILE"] = str(path)
    assert TeamServer.read(tmp_path, files) == TeamServer.read(tmp_path, VARIABLES)
    for path in (tmp_path / name for name in VARIABLES):
        path.chmod(0o640)
        with pytest.raises(Refused, match="others can read") as refused:
            TeamServer.read(tmp_path, files)
        assert SECRET not in str(refused.value)
        path.chmod(0o600)
    (tmp_path / "MLFLOW_AUTH_ADMIN_PASSWORD").unlink()
    with pytest.raises(Refused, match="MLFLOW_AUTH_ADMIN_PASSWORD_FILE names no file"):
        TeamServer.read(tmp_path, files)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"MLFLOW_BACKEND_STORE_URI": f"mysql://u:{SECRET}@db/mlflow"}, "names no PostgreSQL"),
        ({"MLFLOW_BACKEND_STORE_URI": f"sqlite:///{SECRET}"}, "names no PostgreSQL"),
        ({"MLFLOW_BACKEND_STORE_URI": SECRET}, "names no PostgreSQL"),
        ({"MLFLOW_AUTH_ADMIN_PASSWORD": ""}, "needs MLFLOW_AUTH_ADMIN_PASSWORD"),
        ({"MLFLOW_AUTH_ADMIN_PASSWORD": "eleven-long"}, "needs MLFLOW_AUTH_ADMIN_PASSWORD"),
        ({"MLFLOW_FLASK_SERVER_SECRET_KEY": ""}, "needs MLFLOW_FLASK_SERVER_SECRET_KEY"),
    ],
)
def test_what_cannot_be_meant_is_refused_without_repeating_it(
    tmp_path: Path, changed: dict[str, str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as refused:
        TeamServer.read(tmp_path, VARIABLES | changed)
    assert SECRET not in str(refused.value)
    assert "eleven-long" not in str(refused.value)


@pytest.mark.parametrize("line", [f'database = "{DATABASE}"', "artifacts = 3", "allowed_hosts ="])
def test_a_file_of_the_server_that_says_what_nobody_reads_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    (tmp_path / "sapphire.toml").write_text("")
    (tmp_path / "mlflow" / "server").mkdir(parents=True)
    (tmp_path / "mlflow" / "server" / "server.toml").write_text(line)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"server\.toml") as refused:
        TeamServer.read(tmp_path, VARIABLES)
    assert SECRET not in str(refused.value)


def test_sapphire_toml_takes_no_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "sapphire.toml").write_text(f'[mlflow]\ndatabase = "{DATABASE}"\n')
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["mlflow"])
    errors = capsys.readouterr().err
    assert ended.value.code == 1
    assert "mlflow.database" in errors
    assert SECRET not in errors


@pytest.mark.parametrize("uri", [DATABASE, DATABASE.replace("postgresql", "postgresql+psycopg"), "mysql://u:x@h/d"])
def test_a_client_goes_to_no_database_that_a_server_has_behind_it(tmp_path: Path, uri: str) -> None:
    with pytest.raises(ConfigError, match="MLFLOW_TRACKING_URI names a database") as refused:
        Tracking.of(tmp_path, {"MLFLOW_TRACKING_URI": uri})
    assert SECRET not in str(refused.value)
    assert "db.lan" not in str(refused.value)


def test_an_address_with_a_password_is_not_shown_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    tracking = Tracking.of(tmp_path, {"MLFLOW_TRACKING_URI": f"http://anna:{SECRET}@127.0.0.1:9/"})
    with pytest.raises(ConfigError, match="MLflow does not answer") as refused:
        tracking.client()
    assert SECRET not in str(refused.value)
    assert "http://127.0.0.1:9/" in refused.value.expected


def test_pages_wait_where_no_database_is_taken(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path, {"MLFLOW_TRACKING_URI": DATABASE})
    outbox.folder.mkdir(parents=True)
    (outbox.folder / "page.json").write_text("{}")
    assert outbox.deliver() == 0
    assert outbox.waiting == 1


def test_there_are_no_users_at_home(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="this MLflow has no users"):
        TeamUsers.of(Tracking.of(tmp_path, {}))


@pytest.mark.parametrize(("name", "password"), [("admin", SECRET), ("", SECRET), ("anna", "eleven-long")])
def test_a_user_that_is_none_is_refused(name: str, password: str) -> None:
    with pytest.raises(Refused) as refused:
        User(name, "quant", password)
    assert password not in str(refused.value)
    assert SECRET not in repr(User("anna", "quant", SECRET))

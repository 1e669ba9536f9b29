"""The MLflow of a team, as its users meet it: on PostgreSQL, with roles, asked by Sapphire and MLflow's own client."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import mlflow
import numpy as np
import pandas as pd
import pytest
import requests
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from place_servers import PASSWORD as DATABASE_PASSWORD
from place_servers import PostgresServer
from team_servers import ADMIN, process, team_words

from sapphire.agents import Calibrated, MovingAverageCross
from sapphire.agents.release import freeze
from sapphire.cli import main
from sapphire.domain import Bars, Interval, Window, from_ns, to_ns
from sapphire.domain.canonical import sha256_of
from sapphire.domain.errors import AccessDenied, ConfigError, EvidenceRefused, PermitClosed, Refused
from sapphire.domain.messages import decode
from sapphire.domain.protocols import Protocol
from sapphire.domain.releases import ReleasedSizing
from sapphire.domain.view_requests import encode_window
from sapphire.registry import Registry
from sapphire.registry.team import TeamServer, TeamUsers
from sapphire.registry.tracking import Tracking
from sapphire.serving.ports import free_port

ROLES = {"anna": "quant", "bert": "quant", "desk": "promoter", "grafana": "reader", "left": "promoter"}
FIELDS = ("open", "high", "low", "close", "volume")
SECRET_KEY = "a-key-of-the-tests"
START_NS = to_ns("2025-01-01T00:00Z")


@dataclass(frozen=True)
class Team:
    """A server and what it was told."""

    url: str
    database: str
    folder: Path
    pid: int

    @contextmanager
    def as_user(self, name: str, password: str = "") -> Iterator[MlflowClient]:
        """MLflow's own client, for a user; Sapphire asks as that user meanwhile too."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MLFLOW_TRACKING_URI", self.url)
            patch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
            patch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
            patch.setenv("MLFLOW_TRACKING_USERNAME", name)
            patch.setenv("MLFLOW_TRACKING_PASSWORD", password or (ADMIN if name == "admin" else password_of(name)))
            yield MlflowClient(self.url, self.url)

    def users(self, *words: str) -> int | str | None:
        """What `sapphire mlflow users` ends with, asked by the administrator."""
        with self.as_user("admin"), pytest.raises(SystemExit) as ended:
            main(["mlflow", "users", *words])
        return ended.value.code


def password_of(name: str) -> str:
    return f"a-password-of-{name}"


def written(folder: Path, name: str, text: str, rights: int = 0o600) -> Path:
    path = folder / name
    path.write_text(text)
    path.chmod(rights)
    return path


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer) -> Iterator[Team]:
    """The server with its users: one for the module, because it takes a while to start."""
    folder = tmp_path_factory.mktemp("team")
    database = postgres.url("mlflow")
    port = free_port(0)
    secrets = {
        "MLFLOW_BACKEND_STORE_URI": database,
        "MLFLOW_AUTH_ADMIN_PASSWORD": ADMIN,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": SECRET_KEY,
    }
    files = {f"{name}_FILE": str(written(folder, name, f"{value}\n")) for name, value in secrets.items()}
    environment = os.environ | {"SAPPHIRE_HOME": str(folder / "home"), **files}
    url = f"http://127.0.0.1:{port}"
    with process(team_words(port), environment, folder / "server.log", f"{url}/health") as server:
        made = Team(url, database, folder, server.pid)
        words = [f"--{role}={name}={written(folder, name, password_of(name))}" for name, role in ROLES.items()]
        assert made.users(*words) == 0
        yield made


@pytest.fixture(scope="module")
def bars() -> Bars:
    dice = np.random.default_rng(7)
    close = 100.0 * np.exp(np.cumsum(dice.normal(0.0, 0.004, (300, 2)), axis=0))
    opens = np.vstack([np.full((1, 2), 100.0), close[:-1]])
    return Bars(
        symbols=("BTC/USDT", "ETH/USDT"),
        interval=Interval("1h"),
        open_time_ns=START_NS + np.arange(300, dtype=np.int64) * Interval("1h").ns,
        open=opens,
        high=np.maximum(opens, close) * 1.0001,
        low=np.minimum(opens, close) * 0.9999,
        close=close,
        volume=np.full((300, 2), 5.0),
        listed=np.ones((300, 2), dtype=np.bool_),
    ).validate()


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory, team: Team, wire: Callable[..., Registry]) -> Registry:
    """The desk's state folder, whose MLflow is the team's."""
    home = tmp_path_factory.mktemp("desk")
    return wire(home, environment={"MLFLOW_TRACKING_URI": team.url}, count=lambda bundle: bundle.walk_forward)


@pytest.fixture(scope="module")
def submitted(
    team: Team, registry: Registry, bars: Bars, protocol: Protocol, measured: Callable[..., Any], tmp_path_factory: Any
) -> list[str]:
    """Two releases of one name that anna submitted, with reports that permit paper."""
    folder, digests = tmp_path_factory.mktemp("frozen"), []
    with team.as_user("anna"):
        for fast in (3, 4):
            agent = Calibrated(MovingAverageCross(fast=fast, slow=9, horizon=timedelta(hours=3))).fit(bars, seed=7)
            manifest = freeze(
                agent,
                name="trend",
                train_bars=bars,
                sizing=ReleasedSizing(class_name="equal_weight", parameters={}, source_sha256="a" * 64),
                limits={},
                execution={},
                lock_sha256=sha256_of(b"lock"),
                engine_version="0.1.0",
                universe=bars.symbols,
                folder=folder,
            )
            registry.register(folder / manifest.digest, measured(manifest.digest, protocol))
            registry.gates(manifest.digest, to="paper")
            digests.append(manifest.digest)
    return digests


@pytest.fixture(scope="module")
def promoted(team: Team, registry: Registry, submitted: list[str]) -> list[str]:
    """Both on paper, the second is champion; the desk promoted them, after anna could not."""
    before = [record.kind for record in registry.store.records(submitted[0])]
    with team.as_user("anna") as client, pytest.raises(AccessDenied) as refused:
        registry.promote(submitted[0], to="paper")
    assert "does not permit this to anna" in str(refused.value)
    assert "is written by the role promoter; anna has quant" in refused.value.got
    assert "promoter for paper.* and live.*" in refused.value.expected
    assert [record.kind for record in registry.store.records(submitted[0])] == before
    with team.as_user("desk") as client:
        assert {each.name for each in client.search_registered_models()} == {"research.trend"}
        for digest in submitted:
            registry.promote(digest, to="paper")
        assert client.get_model_version_by_alias("paper.trend", "champion").version == "2"
    return submitted


def test_making_users_again_changes_nothing(team: Team, capsys: pytest.CaptureFixture[str]) -> None:
    words = [f"--{role}={name}={team.folder / name}" for name, role in ROLES.items()]
    assert team.users(*words, "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["changed"] == []
    assert {each["user"]: each["role"] for each in shown["users"]} == {**ROLES, "admin": "admin"}


@pytest.mark.parametrize(
    ("text", "rights", "message"),
    [("a-password-of-carl", 0o644, "others can read"), ("eleven-long", 0o600, "too short")],
)
def test_a_password_that_is_no_secret_is_refused(
    team: Team, tmp_path: Path, text: str, rights: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert team.users(f"--quant=carl={written(tmp_path, 'carl', text, rights)}") == 1
    errors = capsys.readouterr().err
    assert message in errors
    assert text not in errors


def test_only_an_administrator_makes_users(team: Team) -> None:
    with team.as_user("desk"), pytest.raises(AccessDenied, match="does not permit desk to make users"):
        TeamUsers.of(Tracking.of(team.folder, {"MLFLOW_TRACKING_URI": team.url}))


@pytest.mark.parametrize(("name", "password"), [("anna", "not-the-password"), ("nobody", "at-all-by-any-means")])
def test_wrong_credentials_are_an_error_that_helps(team: Team, registry: Registry, name: str, password: str) -> None:
    with team.as_user(name, password), pytest.raises(AccessDenied, match="does not take these credentials") as refused:
        registry.releases()
    assert f"user {name}" in refused.value.got
    assert "MLFLOW_TRACKING_PASSWORD_FILE" in refused.value.expected
    assert password not in str(refused.value)


def test_the_password_may_lie_in_a_file(team: Team, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    with team.as_user("grafana"):
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "grafana")
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "")
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD_FILE", str(team.folder / "grafana"))
        registry.releases()
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "")
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD_FILE", str(team.folder / "nobody"))
        with pytest.raises(Refused, match="names no file with a password"):
            registry.releases()


def test_probes_need_no_user_and_metrics_a_reader(team: Team) -> None:
    with httpx.Client(base_url=team.url, trust_env=False) as client:
        assert client.get("/health").status_code == 200
        assert client.get("/metrics").status_code == client.get("/").status_code == 401
        metrics = client.get("/metrics", auth=("grafana", password_of("grafana")))
        assert "mlflow_http_request_total" in metrics.text
        assert "#/models" in client.get("/", auth=("grafana", password_of("grafana"))).text
        assert client.get("/health", headers={"Host": "elsewhere.example"}).status_code == 200
        assert client.get("/", headers={"Host": "elsewhere.example"}).status_code == 403


def test_no_secret_is_in_the_log_nor_among_the_words_of_the_process(team: Team, promoted: list[str]) -> None:
    words = Path(f"/proc/{team.pid}/cmdline").read_text()
    log = (team.folder / "server.log").read_text()
    secrets = [DATABASE_PASSWORD, ADMIN, SECRET_KEY, *map(password_of, ROLES)]
    assert [secret for secret in secrets if secret in words or secret in log] == []


WRITES: dict[str, Callable[[MlflowClient, Path], object]] = {
    "move champion": lambda it, _: it.set_registered_model_alias("paper.trend", "champion", "1"),
    "make an alias": lambda it, _: it.set_registered_model_alias("paper.trend", "mine", "1"),
    "delete champion": lambda it, _: it.delete_registered_model_alias("paper.trend", "champion"),
    "tag a version": lambda it, _: it.set_model_version_tag("paper.trend", "1", "gate", "passed"),
    "delete a tag": lambda it, _: it.delete_model_version_tag("paper.trend", "1", "manifest.sha256"),
    "tag the model": lambda it, _: it.set_registered_model_tag("paper.trend", "gate", "passed"),
    "describe": lambda it, _: it.update_model_version("paper.trend", "1", "all is well"),
    "delete a version": lambda it, _: it.delete_model_version("paper.trend", "1"),
    "delete the model": lambda it, _: it.delete_registered_model("paper.trend"),
    "new version": lambda it, _: it.create_model_version("paper.trend", "mlflow-artifacts:/0/x"),
    "rename it": lambda it, _: it.rename_registered_model("paper.trend", "research.mine"),
    "rename to it": lambda it, _: it.rename_registered_model("research.trend", "live.trend"),
    "take a name": lambda it, _: it.create_registered_model("paper.new"),
    "take one in capitals": lambda it, _: it.create_registered_model("LIVE.new"),
    "take an experiment": lambda it, _: it.create_experiment("paper.new"),
    "rename to an experiment": lambda it, _: it.rename_experiment(of(it, "research.trend"), "live.trend"),
    "delete the experiment": lambda it, _: it.delete_experiment(of(it, "paper.trend")),
    "a run": lambda it, _: it.create_run(of(it, "paper.trend")),
    "bytes": lambda it, file: it.log_model_artifact(model_of(it), str(file)),
    "bytes by path": lambda it, file: put(it, file),
    "tag the bytes": lambda it, _: it.set_logged_model_tags(model_of(it), {"x": "y"}),
}
"""What nobody but a promoter may do."""


def of(client: MlflowClient, experiment: str) -> str:
    found = client.get_experiment_by_name(experiment)
    assert found is not None
    return str(found.experiment_id)


def model_of(client: MlflowClient) -> str:
    return str(client.get_model_version("paper.trend", "1").tags["logged_model"])


def put(client: MlflowClient, file: Path) -> None:
    """By the address of the artifacts, as MLflow's client does it."""
    place = client.get_model_version_download_uri("paper.trend", "1").removeprefix("mlflow-artifacts:/")
    url = f"{client.tracking_uri}/api/2.0/mlflow-artifacts/artifacts/{place}/MLmodel"
    who = (os.environ["MLFLOW_TRACKING_USERNAME"], os.environ["MLFLOW_TRACKING_PASSWORD"])
    answer = httpx.put(url, content=file.read_bytes(), auth=who, trust_env=False)
    if answer.status_code != 200:
        raise MlflowException(f"{answer.status_code}: {answer.text}")


@pytest.mark.parametrize("user", ["anna", "grafana"])
@pytest.mark.parametrize("write", list(WRITES))
def test_nobody_but_a_promoter_writes_what_trades(
    team: Team, promoted: list[str], user: str, write: str, tmp_path: Path
) -> None:
    file = written(tmp_path, "MLmodel", "changed")
    with team.as_user(user) as client, pytest.raises((MlflowException, requests.HTTPError)) as refused:
        WRITES[write](client, file)
    assert "403" in str(refused.value) or "PERMISSION_DENIED" in str(refused.value)


def test_a_reader_reads_and_creates_nothing(team: Team, promoted: list[str]) -> None:
    with team.as_user("grafana") as client:
        assert client.get_model_version_by_alias("paper.trend", "champion").version in "12"
        assert client.search_runs([of(client, "research.trend")])
        for make in (client.create_registered_model, client.create_experiment):
            with pytest.raises(MlflowException, match="creating something needs the role"):
                make("research.mine")


def test_research_belongs_to_every_quant(team: Team, promoted: list[str]) -> None:
    with team.as_user("bert") as client:
        client.set_model_version_tag("research.trend", "1", "seen.by", "bert")
        client.create_run(of(client, "research.trend"))
        client.create_registered_model("research.bert")
    with team.as_user("anna") as client:
        client.set_registered_model_tag("research.bert", "seen.by", "anna")


def test_a_promoter_renames_nothing_into_what_trades(team: Team, promoted: list[str]) -> None:
    with team.as_user("desk") as client, pytest.raises(MlflowException, match="sapphire promote copies"):
        client.rename_registered_model("research.trend", "live.trend")


def test_a_rollback_that_is_not_permitted_is_not_recorded(team: Team, registry: Registry, promoted: list[str]) -> None:
    before = [[record.kind for record in registry.store.records(digest)] for digest in promoted]
    with team.as_user("anna") as client:
        with pytest.raises(AccessDenied, match="does not permit this to anna"):
            registry.rollback("paper.trend")
        assert client.get_model_version_by_alias("paper.trend", "champion").version == "2"
    assert [[record.kind for record in registry.store.records(digest)] for digest in promoted] == before
    with team.as_user("desk") as client:
        assert registry.rollback("paper.trend").label == "paper.trend@1"
        assert client.get_model_version_by_alias("paper.trend", "champion").version == "1"


def test_who_is_promoter_no_more_keeps_nothing_of_it(team: Team, promoted: list[str]) -> None:
    with team.as_user("left") as client:
        client.create_registered_model("live.left")
        left = client.create_experiment("live.left")
    assert team.users(f"--quant=left={team.folder / 'left'}") == 0
    with team.as_user("left") as client:
        with pytest.raises(MlflowException, match="403"):
            client.set_registered_model_tag("live.left", "x", "y")
        with pytest.raises(MlflowException, match="403"):
            client.create_run(left)
    with team.as_user("desk") as client:
        client.create_run(left)
    assert team.users(f"--promoter=left={team.folder / 'left'}") == 0


@pytest.mark.parametrize("wrong", ["password", "port", "address"])
def test_a_database_that_does_not_answer_is_an_error_without_its_password(
    team: Team, tmp_path: Path, wrong: str
) -> None:
    changed = {
        "password": team.database.replace(DATABASE_PASSWORD, "another-password"),
        "port": f"postgresql://mlflow:another-password@127.0.0.1:{free_port(0)}/postgres",
        "address": "postgresql://mlflow:another-password@127.0.0.1:port/postgres",
    }[wrong]
    variables = {
        "MLFLOW_BACKEND_STORE_URI": changed,
        "MLFLOW_AUTH_ADMIN_PASSWORD": ADMIN,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": SECRET_KEY,
    }
    server = TeamServer.read(tmp_path, variables)
    assert server is not None
    assert "another-password" not in repr(server)
    with pytest.raises(ConfigError) as refused:
        server.require_database()
    assert "another-password" not in f"{refused.value}{refused.value.__cause__}"


# the release as a model of MLflow


def table(bars: Bars, last: int = 299) -> pd.DataFrame:
    rows = [
        (pd.Timestamp(int(opened)), symbol, *(float(getattr(bars, name)[row, place]) for name in FIELDS))
        for row, opened in enumerate(bars.open_time_ns[: last + 1])
        for place, symbol in enumerate(bars.symbols)
    ]
    return pd.DataFrame(rows, columns=["open_time", "symbol", *FIELDS])


def views_of_the_bento(home: Path, digest: str, bars: Bars) -> list[Any]:
    """What the runner of a bento answers, by symbol."""
    import asyncio

    from sapphire.domain import WallClock
    from sapphire.serving import Runner, Settings, admit
    from sapphire.serving.cached_windows import BarCache

    runner = Runner(admit(Settings(home, digest)), BarCache(""), WallClock())
    runner.stand_up()
    window = Window(bars, from_ns(int(bars.close_time_ns[-1])))
    answer = asyncio.run(runner.views(encode_window(window)))
    runner.close()
    assert answer.status == 200, answer.body
    return [decode(json.dumps(each).encode()).view() for each in json.loads(answer.body)["views"]]  # type: ignore[union-attr]


def test_mlflow_serves_a_promoted_release_and_says_what_the_bento_says(
    team: Team, registry: Registry, promoted: list[str], bars: Bars, tmp_path: Path
) -> None:
    port = free_port(0)
    uri = "models:/paper.trend@champion"
    words = ["-m", "mlflow", "models", "serve", "--env-manager", "local", "-m", uri, "-p", str(port)]
    with team.as_user("grafana") as client:
        champion = int(client.get_model_version_by_alias("paper.trend", "champion").version)
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # it looks for uvicorn there
        environment = os.environ | {"SAPPHIRE_HOME": str(registry.home), "PATH": path}
        with process([sys.executable, *words], environment, tmp_path / "log", f"http://127.0.0.1:{port}/ping"):
            shuffled = table(bars).sample(frac=1.0, random_state=3)
            body = {"dataframe_split": json.loads(shuffled.to_json(orient="split", index=False, date_format="iso"))}
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60) as asking:
                answer = asking.post("/invocations", json=body)
                wrong = asking.post("/invocations", json={"dataframe_split": {**body["dataframe_split"], "data": []}})
    assert answer.status_code == 200, answer.text
    wanted = views_of_the_bento(registry.home, promoted[champion - 1], bars)
    got = answer.json()["predictions"]
    assert [(each["symbol"], each["mean_bps"], each["std_bps"], each["horizon_s"]) for each in got] == [
        (view.symbol, view.mean_bps, view.std_bps, view.horizon.total_seconds()) for view in wanted
    ]
    assert {pd.Timestamp(each["as_of"]).tz_localize("UTC") for each in got} == {view.as_of for view in wanted}
    assert wrong.status_code == 400
    assert "no rows" in wrong.text


def test_the_example_of_a_model_is_answered_and_a_table_that_is_none_refused(
    team: Team, registry: Registry, promoted: list[str], monkeypatch: pytest.MonkeyPatch, bars: Bars
) -> None:
    monkeypatch.setenv("SAPPHIRE_HOME", str(registry.home))
    with team.as_user("grafana"):
        model = mlflow.pyfunc.load_model("models:/paper.trend/2")
        example = model.input_example
        assert {*model.predict(example)["symbol"]} <= {*bars.symbols}
        twice = pd.concat([example, example.tail(1)])
        for wrong in (twice, example[example["symbol"] == "BTC/USDT"], example.head(4)):
            with pytest.raises(MlflowException, match="expected:"):
                model.predict(wrong)
        with pytest.raises(MlflowException, match="Model is missing inputs"):
            model.predict(example.drop(columns="volume"))


@pytest.mark.parametrize("why", ["tampered", "code beside it", "no evidence", "revoked"])
def test_a_release_that_does_not_verify_is_not_loaded(
    team: Team, registry: Registry, promoted: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, why: str
) -> None:
    monkeypatch.setenv("SAPPHIRE_HOME", str(registry.home))
    with team.as_user("desk") as client:
        found = client.get_model_version_download_uri("paper.trend", "1").removeprefix("mlflow-artifacts:/")
        model = team.folder / "home" / "mlflow" / "artifacts" / found
        assert (model / "MLmodel").is_file()
        source = next((model / "artifacts" / "release").rglob("source.py"))
        before = source.read_bytes()
        if why == "tampered":
            source.write_bytes(before + b"\n")
        elif why == "code beside it":
            (source.parent / "more.py").write_text("x = 1\n")
        elif why == "no evidence":
            monkeypatch.setenv("SAPPHIRE_HOME", str(tmp_path))
        else:
            registry.revoke(promoted[0], why="its prices were of tomorrow")
        try:
            with pytest.raises(EvidenceRefused) as refused:
                mlflow.pyfunc.load_model("models:/paper.trend/1")
        finally:
            source.write_bytes(before)
            (source.parent / "more.py").unlink(missing_ok=True)
    messages = {"tampered": "source.py", "code beside it": "more.py", "no evidence": "evidence", "revoked": "tomorrow"}
    assert messages[why] in str(refused.value)
    assert isinstance(refused.value, PermitClosed) == (why == "revoked")

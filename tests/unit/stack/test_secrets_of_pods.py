"""The secrets of a deployment: drawn once, for their owner alone, and each workload has its own and no other's."""

import hashlib
import json
import stat

import pytest
from pod_plans import account_facts, plan_facts, written

from sapphire.domain.errors import Refused
from sapphire.stack.pods import PodPlan
from sapphire.stack.pods.secret_making import make_secrets

OF_ENGINE = {"bus-password", "places.json", "service-tokens.json", "signal-key", "venue-keys.json"}


@pytest.fixture
def plan(tmp_path):
    return PodPlan.read(written(tmp_path, plan_facts()))


def files(folder):
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def told(folder, name):
    return json.loads((folder / name).read_text())


def test_each_workload_has_what_it_needs_and_no_more(tmp_path, plan):
    folder = tmp_path / "secrets"
    made = make_secrets(folder, plan)
    names = files(folder)
    assert set(made.drawn) == set(names)
    assert (made.rewritten, made.kept) == ([], [])
    of = {}
    for name in names:
        workload, file = name.split("/")
        of.setdefault(workload, set()).add(file)
    assert of == {
        "valkey": {"bus-users.acl", "probe-password"},
        "exchange": {"exchange-keys.json"},
        "collector": {"bus-password"},
        "coordinator-paper": {"bus-password", "places.json", "signal-key"},
        "coordinator-second": {"bus-password", "places.json", "signal-key"},
        "engine-paper": OF_ENGINE,
        "engine-second": OF_ENGINE,
        "trimmer-paper": {"bus-password", "service-read-token"},
        "trimmer-second": {"bus-password", "service-read-token"},
        "agent-trend": {"bus-password", "places.json"},
        "postgresql": {"postgres-passwords.json"},
        "mlflow": {"mlflow-admin-password", "mlflow-database.dsn", "mlflow-secret-key"},
        "prometheus": {"mlflow-password"},
        "jobs": {"places.json"},
        "retrain": {"mlflow-password", "places.json"},
        "check": {"venue-keys.json"},
    }
    assert {stat.S_IMODE((folder / name).stat().st_mode) for name in names} == {0o600}


def test_what_belongs_together_is_the_same(tmp_path, plan):
    folder = tmp_path / "secrets"
    make_secrets(folder, plan, bucket=True)
    names = files(folder)
    keys = told(folder, "exchange/exchange-keys.json")
    assert keys["development"] == told(folder, "engine-paper/venue-keys.json")
    assert keys["accounts"] == {
        "second": told(folder, "engine-second/venue-keys.json"),
        "check": told(folder, "check/venue-keys.json"),
    }
    assert keys["control_token"] != keys["control_read_token"]
    assert names["engine-paper/signal-key"] == names["coordinator-paper/signal-key"]
    assert names["engine-paper/signal-key"] != names["engine-second/signal-key"]
    tokens = told(folder, "engine-second/service-tokens.json")
    assert names["trimmer-second/service-read-token"].strip() == tokens["service_read_token"] != tokens["service_token"]
    for user, name in {
        "collector": "collector/bus-password",
        "coordinator:paper": "coordinator-paper/bus-password",
        "service:second": "engine-second/bus-password",
        "trimmer:paper": "trimmer-paper/bus-password",
        "agent:trend": "agent-trend/bus-password",
        "probe": "valkey/probe-password",
    }.items():
        digest = hashlib.sha256(names[name].strip().encode()).hexdigest()
        (line,) = (line for line in names["valkey/bus-users.acl"].splitlines() if f"user {user} on" in line)
        assert f"#{digest}" in line
    assert not any(names[name].strip() in names["valkey/bus-users.acl"] for name in names if "password" in name)
    passwords, bucket = told(folder, "postgresql/postgres-passwords.json"), told(folder, "bucket/bucket-keys.json")
    assert told(folder, "jobs/places.json") == {"database_password": passwords["sapphire"], **bucket}
    assert names["mlflow/mlflow-database.dsn"].strip() == (
        f"postgresql://mlflow:{passwords['mlflow']}@postgresql:5432/mlflow"
    )


def test_drawn_again_everything_stays_and_a_new_account_is_added(tmp_path, plan):
    folder, facts = tmp_path / "secrets", plan_facts()
    make_secrets(folder, plan)
    before = files(folder)
    again = make_secrets(folder, plan)
    assert files(folder) == before
    assert (again.drawn, again.rewritten, set(again.kept)) == ([], [], set(before))
    facts["accounts"]["third"] = account_facts("third", 9, {"USDT": "1"}) | {"notices": {"host": "n", "port": 1}}
    more = make_secrets(folder, PodPlan.read(written(tmp_path, facts)))
    after = files(folder)
    assert set(more.rewritten) == {"exchange/exchange-keys.json", "valkey/bus-users.acl"}
    assert {name for name in after if name not in before} == set(more.drawn)
    assert all("third" in name for name in more.drawn)
    assert all(after[name] == text for name, text in before.items() if name not in more.rewritten)
    keys, known = json.loads(after["exchange/exchange-keys.json"]), json.loads(before["exchange/exchange-keys.json"])
    assert keys["control_token"] == known["control_token"]
    assert keys["accounts"].keys() == {"second", "third", "check"}
    assert "user notices:third on" in after["valkey/bus-users.acl"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("engine-paper/venue-keys.json", '{"api_key": "hush"}'),
        ("engine-paper/venue-keys.json", '{"api_key": "a", "api_secret": "hush", "more": 1}'),
        ("engine-paper/service-tokens.json", '["hush"]'),
        ("exchange/exchange-keys.json", "hush"),
        ("collector/bus-password", "\n"),
    ],
)
def test_what_is_there_and_wrong_is_refused_before_anything_is_written(tmp_path, plan, name, text):
    folder = tmp_path / "secrets"
    path = folder / name
    path.parent.mkdir(parents=True)
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(Refused, match="is not what was drawn") as refused:
        make_secrets(folder, plan)
    assert "hush" not in str(refused.value)
    assert files(folder) == {name: text}


def test_a_file_that_others_can_read_is_refused(tmp_path, plan):
    folder = tmp_path / "secrets"
    make_secrets(folder, plan)
    (folder / "engine-paper" / "venue-keys.json").chmod(0o644)
    with pytest.raises(Refused, match="others can read"):
        make_secrets(folder, plan)

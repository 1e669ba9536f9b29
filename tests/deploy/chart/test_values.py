"""What an environment may say: a wrong or unknown key is refused with a sentence, before anything is made."""

import json

import helm_python
import pytest
from rendered import CHART, FOUNDATION, IMAGES, NAMESPACE, render, render_foundation, values_of

ACCOUNT = {"agent": "trend", "tag": 1, "stage": "paper", "funds": {"USDT": "1"}}
MODEL = {"repository": "Qwen/Qwen3-8B-FP8", "revision": "4" * 40, "sha256": "4" * 64}

QWEN = {"release": "1" * 64, "runner": "vllm", "model": MODEL}


def refusal(values, render=render):
    with pytest.raises(helm_python.HelmError) as refused:
        render(values)
    return str(refused.value)


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"accounts": {"paper": {"stage": "live"}}}, "live is refused until a real venue is built"),
        ({"global": {"environment": "live"}}, "live is refused until a real venue is built"),
        ({"live": True}, "live is refused until a real venue is built"),
        ({"global": {"live": True}}, "live is refused until a real venue is built"),
        ({"accounts": {"paper": {"live": True}}}, "live is refused until a real venue is built"),
        ({"accounts": {"live": ACCOUNT | {"tag": 2}}}, "live is refused until a real venue is built"),
        ({"market": {"source": "real"}}, "real markets are refused until a real venue is built"),
        ({"market": {"source": "live"}}, "real markets are refused until a real venue is built"),
    ],
)
def test_live_is_refused_wherever_it_stands(more, sentence):
    assert sentence in refusal(values_of("dev", **more))


@pytest.mark.parametrize(
    ("more", "where"),
    [
        ({"agnets": {}}, "'agnets'"),
        ({"global": {"enviroment": "dev"}}, "'enviroment'"),
        ({"agents": {"qwen": QWEN | {"server": {"lenght": 2048}}}}, "'lenght'"),
        ({"agents": {"trend": {"realease": "1" * 64}}}, "'realease'"),
        ({"accounts": {"paper": {"fund": {}}}}, "'fund'"),
        ({"market": {"seeds": 1}}, "'seeds'"),
        ({"lab": {"user": {}}}, "'user'"),
        ({"valkey": {"size": "1Gi"}}, "'size'"),
        ({"postgresql": {"size": "1Gi"}}, "'size'"),
        ({"mlflow": {"replicas": 2}}, "'replicas'"),
        ({"monitoring": {"replicas": 2}}, "'replicas'"),
        ({"global": {"resources": {"engin": {}}}}, "'engin'"),
        ({"global": {"image": {"digests": {"engin": "sha256:" + "0" * 64}}}}, "'engin'"),
        ({"roles": {"admin": []}}, "'admin'"),
    ],
)
def test_an_unknown_key_is_named(more, where):
    assert f"additional properties {where} not allowed" in refusal(values_of("dev", **more))


@pytest.mark.parametrize(
    ("more", "where"),
    [
        ({"agents": {"trend": {"release": "trend@1"}}}, "/agents/trend/release"),
        ({"agents": {"trend": {"runner": "gpu"}}}, "/agents/trend/runner"),
        ({"agents": {"trend": {"runner": "vllm"}}}, "missing property 'model'"),
        ({"agents": {"trend": {"model": MODEL}}}, "/agents/trend/model"),
        ({"agents": {"trend": {"adapters": [MODEL]}}}, "/agents/trend/adapters"),
        ({"agents": {"trend": {"server": {"share": 0.4}}}}, "/agents/trend/server"),
        ({"agents": {"qwen": QWEN | {"server": {"share": 1.1}}}}, "/agents/qwen/server/share"),
        ({"agents": {"qwen": QWEN | {"server": {"quantization": "fp4"}}}}, "/agents/qwen/server/quantization"),
        ({"agents": {"qwen": QWEN | {"server": {"rank": 12}}}}, "/agents/qwen/server/rank"),
        ({"agents": {"qwen": QWEN | {"adapters": [{"repository": "a/b"}]}}}, "/agents/qwen/adapters/0"),
        ({"agents": {"trend": {"autoscale": {"min": 1, "max": 2, "cpu": 70}}}}, "/agents/trend"),
        ({"agents": {"a-name-that-is-far-too-long": {"release": "1" * 64, "runner": "cpu"}}}, "a-name-that-is-far"),
        ({"accounts": {"paper": {"tag": 0}}}, "/accounts/paper/tag"),
        ({"accounts": {"paper": {"funds": {"USDT": 100000}}}}, "got number, want string"),
        ({"accounts": {"check": ACCOUNT | {"tag": 2}}}, "helm test trades on an account of that name"),
        ({"market": {"start": "yesterday"}}, "/market/start"),
        ({"market": {"speed": 0}}, "/market/speed"),
        ({"global": {"resources": {"engine": {"memory": "lots"}}}}, "/global/resources/engine/memory"),
        ({"global": {"secrets": {"provider": "google"}}}, "/global/google/project"),
        ({"global": {"secrets": {"provider": "vault"}}}, "/global/secrets/provider"),
        ({"lab": {"host": "lab.example.com"}}, "/lab/certificate"),
        ({"places": {"bucket": "/mnt/desk"}}, "/places/bucket"),
    ],
)
def test_a_wrong_value_is_refused_with_its_place(more, where):
    assert where in refusal(values_of("dev", **more))


@pytest.mark.parametrize("name", ["password", "mlflow_password", "token", "apiKey", "api_secret", "credentials"])
@pytest.mark.parametrize("place", [(), ("global",), ("accounts", "paper"), ("places",), ("mlflow",), ("lab",)])
def test_a_secret_in_values_is_refused(name, place):
    more = {name: "hunter2"}
    for key in reversed(place):
        more = {key: more}
    refused = refusal(values_of("dev", **more))
    assert "no secret stands in values" in refused
    assert "hunter2" not in refused


@pytest.mark.parametrize("environment", ["staging", "prod"])
def test_staging_and_production_want_each_image_by_its_digest(environment):
    values = values_of(environment)
    for name in IMAGES:
        digests = {key: value for key, value in values["global"]["image"]["digests"].items() if key != name}
        refused = refusal(values | {"global": values["global"] | {"image": {"digests": digests}}})
        assert "/global/image/digests" in refused
        assert f"'{name}'" in refused


def test_an_account_of_an_agent_that_is_not_there_is_told_which_there_are():
    refused = refusal(values_of("dev", accounts={"paper": {"agent": "trnd"}}))
    assert 'accounts.paper trades the agent "trnd"' in refused
    assert "name one of trend" in refused


def test_no_two_accounts_have_one_tag_and_one_has_the_first():
    assert "both have the tag 1" in refusal(values_of("dev", accounts={"other": ACCOUNT}))
    assert "give it tag: 1" in refusal(values_of("dev", accounts={"paper": {"tag": 2}}))


def test_two_servers_of_mlflow_without_a_bucket_are_refused():
    refused = refusal(values_of("dev", mlflow={"autoscale": {"min": 2, "max": 2, "cpu": 70}}))
    assert "mlflow.artifacts names no bucket" in refused


def test_an_environment_without_an_account_is_refused():
    assert "an environment has one account at least" in refusal(values_of("dev") | {"accounts": {}})


@pytest.mark.parametrize(
    ("more", "where"),
    [
        ({"rolls": {}}, "'rolls'"),
        ({"roles": {"admin": []}}, "'admin'"),
        ({"quota": {"gpu": 2}}, "'gpu'"),
        ({"quota": {"research": {"memory": "lots"}}}, "/quota/research/memory"),
        ({"lab": {"users": {"anna": {}}}}, "/lab/users/anna"),
        ({"live": True}, "live is refused until a real venue is built"),
        ({"token": "hunter2"}, "no secret stands in values"),
    ],
)
def test_the_foundation_refuses_what_it_cannot_read(more, where):
    assert where in refusal(values_of("dev", **more), render_foundation)


def test_the_foundation_is_not_kept_where_a_deployer_writes():
    refused = refusal(values_of("dev"), lambda values: render(values, FOUNDATION, NAMESPACE))
    assert "--namespace foundation --create-namespace" in refused


def test_both_charts_take_the_same_environment_and_read_a_key_alike():
    ours, theirs = (json.loads((chart / "values.schema.json").read_text()) for chart in (FOUNDATION, CHART))
    assert ours["properties"].keys() - {"namespace"} == theirs["properties"].keys()
    for name, schema in ours["properties"].items():
        if schema and name != "namespace":
            assert schema == theirs["properties"][name], name
    for name, schema in ours["$defs"].items():
        assert schema == theirs["$defs"][name], name

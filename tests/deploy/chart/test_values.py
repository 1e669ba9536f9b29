"""What an environment may say: a wrong or unknown key is refused with a sentence, before anything is made."""

import helm_python
import pytest
import yaml
from rendered import CHART, IMAGES, merged, render, values_of

ACCOUNT = {"agent": "trend", "tag": 1, "stage": "paper", "funds": {"USDT": "1"}}
MODEL = {"repository": "Qwen/Qwen3-8B-FP8", "revision": "4" * 40, "sha256": "4" * 64}


def refusal(values):
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
    told = refusal(values_of("dev", **more))
    assert "no secret stands in values" in told
    assert "hunter2" not in told


@pytest.mark.parametrize("environment", ["staging", "prod"])
def test_staging_and_production_want_each_image_by_its_digest(environment):
    values = values_of(environment)
    for name in IMAGES:
        digests = {key: value for key, value in values["global"]["image"]["digests"].items() if key != name}
        told = refusal(values | {"global": values["global"] | {"image": {"digests": digests}}})
        assert "/global/image/digests" in told
        assert f"'{name}'" in told


def test_an_account_of_an_agent_that_is_not_there_is_told_which_there_are():
    told = refusal(values_of("dev", accounts={"paper": {"agent": "trnd"}}))
    assert 'accounts.paper trades the agent "trnd"' in told
    assert "name one of trend" in told


def test_no_two_accounts_have_one_tag_and_one_has_the_first():
    assert "both have the tag 1" in refusal(values_of("dev", accounts={"other": ACCOUNT}))
    assert "give it tag: 1" in refusal(values_of("dev", accounts={"paper": {"tag": 2}}))


def test_two_servers_of_mlflow_without_a_bucket_are_refused():
    told = refusal(values_of("dev", mlflow={"autoscale": {"min": 2, "max": 2, "cpu": 70}}))
    assert "mlflow.artifacts names no bucket" in told


def test_what_the_chart_says_by_itself_is_a_whole_environment():
    """Without agents and accounts there is an exchange, a bus, a registry and no lab."""
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert render(merged(values, {"mlflow": {"autoscale": {"min": 1, "max": 1, "cpu": 70}}}))

"""Nothing is let through but the arrows of the table, and the page about them is drawn from it."""

import architecture
import pytest
import yaml
from rendered import CHART, ENVIRONMENTS, of_kind, pods, rendered, serving

TABLE = yaml.safe_load((CHART / "files/arrows.yaml").read_text())
ARROWS, OUTSIDE = TABLE["arrows"], TABLE["outside"]


def policies(objects):
    return {each["metadata"]["name"]: each["spec"] for each in of_kind(objects, "NetworkPolicy")}


def components(peers):
    return {
        peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"] for peer in peers if "podSelector" in peer
    }


def let_through(objects, direction, end):
    """The arrows between parts that policies let through, seen from one of their ends."""
    found = set()
    for part, spec in policies(objects).items():
        for rule in spec.get(direction, ()):
            for other in components(rule[end]) if part != "default-deny" else ():
                one, two = (other, part) if direction == "ingress" else (part, other)
                found |= {(one, two, port["port"]) for port in rule["ports"]}
    return found


def test_nothing_is_let_through_by_default(objects):
    default = policies(objects)["default-deny"]
    assert default["podSelector"] == {}
    assert set(default["policyTypes"]) == {"Ingress", "Egress"}
    assert "ingress" not in default


def test_by_default_a_pod_may_ask_for_names_and_for_who_it_is_and_nothing_else(objects):
    for rule in policies(objects)["default-deny"]["egress"]:
        for peer in rule["to"]:
            if "ipBlock" in peer:
                assert peer["ipBlock"]["cidr"] in ("169.254.20.10/32", "169.254.169.254/32", "169.254.169.252/32")
            else:
                assert peer["podSelector"]["matchLabels"] == {"k8s-app": "kube-dns"}


@pytest.mark.parametrize(("direction", "end"), [("ingress", "from"), ("egress", "to")])
def test_between_parts_the_arrows_of_the_table_are_let_through_and_no_others(objects, direction, end):
    table = {
        (arrow["from"], arrow["to"], port) for arrow in ARROWS for port in arrow["ports"]
        if arrow["from"] not in OUTSIDE and arrow["to"] not in OUTSIDE
    }  # fmt: skip
    assert let_through(objects, direction, end) == table


def test_who_reaches_out_of_the_cluster_is_in_the_table(objects):
    outwards = {
        part for part, spec in policies(objects).items() for rule in spec.get("egress", ())
        if part != "default-deny" and any("ipBlock" in peer for peer in rule["to"])
    }  # fmt: skip
    assert outwards == {arrow["from"] for arrow in ARROWS if arrow["to"] in OUTSIDE}


def test_only_notices_labs_and_weights_reach_the_internet_and_no_private_address_by_that(prod):
    reaching = set()
    for part, spec in policies(prod).items():
        for rule in spec.get("egress", ()):
            for peer in rule["to"]:
                block = peer.get("ipBlock", {})
                if block.get("cidr") == "0.0.0.0/0":
                    reaching.add(part)
                    assert {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"} <= set(block["except"])
                    assert rule["ports"] == [{"port": 443, "protocol": "TCP"}]
    assert reaching == {"notices", "lab", "weights"}


def test_nobody_but_the_load_balancer_comes_in_from_outside(prod):
    from_outside = {
        (part, peer["ipBlock"]["cidr"]) for part, spec in policies(prod).items() for rule in spec.get("ingress", ())
        for peer in rule["from"] if "ipBlock" in peer
    }  # fmt: skip
    assert from_outside == {("lab", "35.191.0.0/16"), ("lab", "130.211.0.0/22")}


def test_nothing_that_trades_is_reached_by_research(prod):
    research = {"lab", "research", "retrain", "gaps"}
    reached = {two for one, two, _ in let_through(prod, "ingress", "from") if one in research}
    assert reached == {"mlflow", "postgresql"}


def test_orders_come_from_engines_alone_and_the_check_of_helm_test():
    assert {arrow["from"] for arrow in ARROWS if arrow["to"] == "exchange" and 8080 in arrow["ports"]} == {
        "collector", "engine", "check"
    }  # fmt: skip
    assert {arrow["from"] for arrow in ARROWS if arrow["to"] == "exchange" and 8081 in arrow["ports"]} == {"prometheus"}


def test_an_arrow_leads_to_a_port_that_the_part_has_and_has_its_reason(prod):
    has = {}
    for pod in serving(prod):
        has.setdefault(pod.component, set()).update(port["containerPort"] for port in pod.main.get("ports", ()))
    has["notices"] = {9104}
    for arrow in ARROWS:
        assert len(arrow["why"]) > 5
        assert set(arrow) == {"from", "to", "ports", "why"}
        if arrow["to"] not in OUTSIDE:
            assert set(arrow["ports"]) <= has[arrow["to"]], arrow


def test_each_part_has_its_arrows(objects):
    named = {end for arrow in ARROWS for end in (arrow["from"], arrow["to"])}
    for pod in pods(objects):
        assert pod.component in named, pod.name


def test_what_prometheus_reads_it_is_let_through_to(objects):
    allowed = {(two, str(port)) for one, two, port in let_through(objects, "egress", "to") if one == "prometheus"}
    read = {
        (pod.component, pod.metadata["annotations"]["prometheus.io/port"]) for pod in serving(objects)
        if "prometheus.io/port" in pod.metadata["annotations"]
    }  # fmt: skip
    assert read - {("prometheus", "9090")} <= allowed
    assert {"exchange", "collector", "coordinator", "engine", "trimmer", "agent"} <= {
        component for component, _ in read
    }


@pytest.mark.parametrize("path", architecture.PARTS, ids=lambda path: path.name)
def test_the_page_is_what_the_table_and_the_chart_say(path):
    assert path.read_text() == architecture.drawn(path), f"{path} is behind: python {architecture.__file__}"


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_page_names_every_workload_and_the_file_it_comes_from(environment):
    page = architecture.PAGE.read_text()
    for pod in serving(rendered(environment)):
        assert f"| {pod.component} |" in page or f"| {pod.component}-" in page, pod.component

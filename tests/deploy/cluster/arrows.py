"""Which connections network policies let through, computed from the policies and pods that a cluster has.

No network is here that would enforce them; on GKE it is Dataplane V2 that does.
"""


def open_ports(policies, source, target):
    """Ports of `target` that `source` may connect to, of those that its containers declare.

    Parameters
    ----------
    policies : live NetworkPolicies of the namespace that both pods are in.
    source, target : live pods.
    """
    ports = {
        port["containerPort"]: port.get("name")
        for each in target["spec"]["containers"]
        for port in each.get("ports", ())
    }
    return {
        number
        for number, name in ports.items()
        if _is_open(policies, "Egress", source, target, number, name)
        and _is_open(policies, "Ingress", target, source, number, name)
    }


def _is_open(policies, direction, pod, other, number, name):
    """Whether the policies that hold for `pod` let it connect to `other`, or be connected to by it."""
    mine = [
        each
        for each in policies
        if direction in each["spec"]["policyTypes"] and _selects(each["spec"]["podSelector"], pod)
    ]
    rules = [rule for each in mine for rule in each["spec"].get(direction.lower(), ())]
    side = "to" if direction == "Egress" else "from"
    return not mine or any(_has_port(rule, number, name) and _has_peer(rule.get(side), other) for rule in rules)


def _has_peer(peers, pod):
    own = ({}, {"matchLabels": {"kubernetes.io/metadata.name": pod["metadata"]["namespace"]}}, None)
    return not peers or any(
        "ipBlock" not in each and each.get("namespaceSelector") in own and _selects(each.get("podSelector", {}), pod)
        for each in peers
    )


def _has_port(rule, number, name):
    ports = rule.get("ports")
    return not ports or any(
        each.get("protocol", "TCP") == "TCP"
        and ("port" not in each or each["port"] == name or _is_between(each["port"], number, each.get("endPort")))
        for each in ports
    )


def _is_between(first, number, last):
    return isinstance(first, int) and first <= number <= (last or first)


def _selects(selector, pod):
    labels = pod["metadata"].get("labels", {})
    is_like = {
        "In": lambda key, values: labels.get(key) in values,
        "NotIn": lambda key, values: labels.get(key) not in values,
        "Exists": lambda key, _: key in labels,
        "DoesNotExist": lambda key, _: key not in labels,
    }
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items()) and all(
        is_like[each["operator"]](each["key"], each.get("values", ())) for each in selector.get("matchExpressions", ())
    )

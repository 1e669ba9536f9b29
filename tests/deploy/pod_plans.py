"""Plans of deployments for tests."""

import copy
import json

DIGEST = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


def plan_facts(digest=DIGEST):
    """A deployment of two accounts, as a chart renders it."""
    return copy.deepcopy(
        {
            "format": "POD_PLAN@1",
            "venue": "embedded",
            "bind": "0.0.0.0",
            "market": {
                "source": "generated",
                "seed": 7,
                "start": "2025-03-07T00:00:00Z",
                "speed": 60,
                "symbols": ["BTC/USDT", "ETH/USDT"],
                "interval": "5m",
            },
            "bus": {"host": "valkey", "port": 6379},
            "exchange": {"host": "exchange", "port": 8080, "control_port": 8081},
            "collector": {"host": "collector", "port": 9101},
            "postgresql": {"host": "postgresql", "port": 5432},
            "agents": {"trend": {"release": digest, "host": "agent-trend", "port": 3000}},
            "accounts": {
                "second": account_facts("second", 3, {"USDT": "50000", "BTC": "1"}),
                "paper": account_facts("paper", 1, {"USDT": "100000"}),
            },
        }
    )


def account_facts(name, tag, funds):
    return {
        "tag": tag,
        "agent": "trend",
        "stage": "paper",
        "funds": funds,
        "coordinator": {"host": f"coordinator-{name}", "port": 9102},
        "engine": {"host": f"engine-{name}", "port": 8090},
        "trimmer": {"host": f"trimmer-{name}", "port": 9103},
    }


def written(folder, facts):
    """The file of a plan."""
    path = folder / "plan.json"
    path.write_text(json.dumps(facts))
    return path

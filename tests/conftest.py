"""Settings of the whole suite."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from sapphire.domain.evidence import GateReport

# The machines that run this are shared: a deadline would test their other work, not ours.
settings.register_profile("house", deadline=None)
settings.load_profile("house")


@pytest.fixture(scope="session", autouse=True)
def config_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The user's configuration folder of this run of tests, never the real one: the promoter's key is made there."""
    folder = tmp_path_factory.mktemp("config")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(folder))
        yield folder


def sign_permit(
    home: Path,
    digest: str,
    *,
    name: str = "trend",
    target: str = "paper",
    passed: bool = True,
    skill: bool = False,
    days: float = 7.0,
    **changed: object,
) -> "GateReport":
    """Sign a gate report with every measure that is asked for a target, and keep it in the record of a release.

    Parameters
    ----------
    passed : whether the measures of integrity passed.
    skill : whether those of an edge did.
    days : how long it permits, from now on.
    changed : other values of the report.
    """
    from sapphire.domain.evidence import EDGE_GATES, GateReport, GateRow
    from sapphire.registry import Deployment, EvidenceStore, sign, signing_key
    from sapphire.registry.policies import must_ask
    from sapphire.registry.promotion import next_sequence

    key, store, now_ns = signing_key(), EvidenceStore(home / "evidence"), time.time_ns()
    if digest not in store.digests():
        store.append(digest, "registered", at_ns=1, facts={"name": name, "version": 1}, files={})
    rows = []
    for asked in sorted(must_ask(target)):  # type: ignore[arg-type]
        gate, _, measure = asked.partition(".")
        edge = gate in EDGE_GATES
        needs, value = ({"min": 0.95}, 0.96 if skill else 0.2) if edge else (True, passed)
        refuses = target == "live" or not edge
        rows.append(GateRow(gate=gate, measure=measure, needs=needs, value=value, refuses=refuses))
    values: dict[str, object] = {
        "name": name,
        "manifest_digest": digest,
        "policy_digest": Deployment.read().policies[target][0],  # type: ignore[index]
        "evidence_digest": "d" * 64,
        "record_head": store.heads(digest)[-1],
        "trials": 3,
        "data": "generated market, seed 7 (uncalibrated)",
        "target": target,
        "rows": tuple(rows),
        "ledger_head": "e" * 64,
        "engine_version": "0.1.0",
        "signer": key.id,
        "authority": key.authority,
        "sequence": next_sequence(store.reports(digest), target),  # type: ignore[arg-type]
        "issued_ns": now_ns,
        "valid_until_ns": now_ns + int(days * 86_400_000_000_000),
        "revocations": 0,
    }
    report = GateReport(**values | changed)  # type: ignore[arg-type]
    store.add_report(report, sign(report, key), at_ns=now_ns)
    return report


@pytest.fixture(scope="session", name="sign_permit")
def sign_permit_fixture() -> Callable[..., "GateReport"]:
    """The function above."""
    return sign_permit

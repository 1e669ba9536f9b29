"""A manifest and a gate report to change one thing of."""

from __future__ import annotations

import pytest

from sapphire.domain.evidence import LAPTOP_KEY, GateReport, GateRow
from sapphire.domain.releases import Manifest, ReleasedAgent, ReleasedSizing


def digit(number: int) -> str:
    return f"{number:064x}"


@pytest.fixture
def manifest() -> Manifest:
    agent = ReleasedAgent(
        name="moving-average-cross",
        class_name="MovingAverageCross",
        parameters={"fast": 12, "slow": 48, "horizon": "12h"},
        source_sha256=digit(1),
        card_sha256=digit(2),
        golden_inputs_sha256=digit(3),
        golden_outputs_sha256=digit(4),
        calibration_sha256=digit(5),
        feature_version="FEATURES@1",
        horizon_ns=12 * 3_600_000_000_000,
        warmup=48,
        max_age_ns=90 * 86_400_000_000_000,
    )
    return Manifest(
        name="trend",
        universe=("ETH/USDT", "BTC/USDT"),
        interval="1h",
        agents=(agent,),
        sizing=ReleasedSizing(class_name="volatility_target", parameters={"annual": 0.2}, source_sha256=digit(6)),
        limits={"max_gross": 0.99},
        execution={"time_to_live": "1h"},
        lock_sha256=digit(7),
        engine_version="0.1.0",
    )


@pytest.fixture
def report(manifest: Manifest) -> GateReport:
    return GateReport(
        name=manifest.name,
        manifest_digest=manifest.digest,
        policy_digest=digit(8),
        evidence_digest=digit(9),
        record_head=digit(12),
        trials=312,
        data="generated market, seed 7 (uncalibrated)",
        target="paper",
        rows=(
            GateRow(gate="integrity", measure="captured_source", needs=True, value=True),
            GateRow(gate="integrity", measure="truncation_test", needs="pass", value="pass"),
            GateRow(
                gate="skill",
                measure="deflated_sharpe",
                needs={"min": 0.95},
                value=0.41,
                refuses=False,
                note="N = 312 trials in the ledger",
            ),
        ),
        ledger_head=digit(10),
        engine_version="0.1.0",
        signer=digit(11),
        authority=LAPTOP_KEY,
        sequence=1,
        issued_ns=1_772_323_200_000_000_000,
        valid_until_ns=1_772_928_000_000_000_000,
        revocations=0,
    )

"""Which release trades: the champion on paper, and an error that helps where there is none or more than one."""

import pytest

from sapphire.coordination import Decision, Scope
from sapphire.domain.errors import EvidenceRefused, PermitClosed, Refused
from sapphire.stack.folders import RunFolder
from sapphire.stack.releases import choose_release, described
from sapphire.telemetry.streams import AccountStreams


@pytest.fixture(scope="module")
def registry(registered, tmp_path_factory, with_mlflow, wire):
    environment = {"SAPPHIRE_NOTEBOOK": "00_start_here.ipynb"}
    home = with_mlflow(tmp_path_factory.mktemp("home"))
    return wire(home, policies=registered.POLICIES, environment=environment, count=registered.as_submitted)


@pytest.fixture(scope="module")
def promote(registered, registry, tmp_path_factory):
    """Registers, gates and promotes a small release of a name; its digest."""

    def promoted(name, *, good=True):
        folder = registered.write_release(tmp_path_factory.mktemp("frozen") / "release", name=name)
        made = registry.register(folder, registered.bundle_of(folder, good=good))
        registry.gates(made.digest, to="paper")
        registry.promote(made.digest, to="paper")
        return made.digest

    return promoted


def test_the_champion_is_the_default_and_several_want_a_name(registry, promote):
    with pytest.raises(Refused, match="no release is promoted to paper") as none:
        choose_release(registry.home)
    assert "sapphire promote RELEASE --to paper" in none.value.next
    trend = promote("trend")
    chosen, manifest = choose_release(registry.home)
    assert (chosen.digest, chosen.label, chosen.name) == (trend, "paper.trend@1", "trend")
    assert manifest.digest == trend
    weak = promote("weak", good=False)
    with pytest.raises(Refused, match="several releases are promoted") as several:
        choose_release(registry.home)
    assert several.value.got == "paper.trend@1, paper.weak@1"
    for named in ("weak", "paper.weak", weak, "weak@1"):
        chosen, _ = choose_release(registry.home, named)
        assert (chosen.digest, chosen.skill_failed) == (weak, True)
        assert chosen.marks == ("skill not shown",)
    with pytest.raises(Refused, match="other has no champion on paper"):
        choose_release(registry.home, "other")


def test_a_release_that_was_not_promoted_does_not_trade(registered, registry, tmp_path):
    """A gate report that permits paper is no promotion, and a rollback takes it away again."""
    digests = []
    for fast in (3, 4):
        folder = registered.write_release(tmp_path / str(fast), name="young", fast=fast)
        digests.append(registry.register(folder, registered.bundle_of(folder)).digest)
        registry.gates(digests[-1], to="paper")
        for named in (digests[-1], f"young@{len(digests)}"):
            with pytest.raises(Refused, match="is not promoted to paper"):
                choose_release(registry.home, named)
        registry.promote(digests[-1], to="paper")
        assert choose_release(registry.home, digests[-1])[0].digest == digests[-1]
    registry.rollback("paper.young")
    assert choose_release(registry.home, "young")[0].digest == digests[0]
    with pytest.raises(Refused, match="is not promoted to paper"):
        choose_release(registry.home, digests[1])
    registry.revoke(digests[0], why="wrong prices")
    for named in ("young", digests[0]):
        with pytest.raises(PermitClosed, match="was revoked"):
            choose_release(registry.home, named)
    # What a run still holds of it is led to its end there, and nowhere else.
    run, other = RunFolder(tmp_path / "run"), RunFolder(tmp_path / "other")
    decided = Decision.on(Scope(AccountStreams("embedded", "paper"), digests[0], "trend", "bars"), 1_000_000).knowing(
        signals=[
            {"symbol": "BTC/USDT", "target_lots": "3", "reference_ticks": "1", "time_to_live_ns": "1", "entry": "1-1"}
        ]
    )
    run.path.mkdir()
    run.decisions.write_bytes(decided.line)
    for named in ("young", digests[0]):
        assert choose_release(registry.home, named, run=run)[0].digest == digests[0]
        with pytest.raises(PermitClosed, match="was revoked"):
            choose_release(registry.home, named, run=other)


def test_a_release_without_a_report_for_paper_is_refused(registered, tmp_path):
    folder = registered.write_release(tmp_path / "home" / "releases" / "x")
    digest = registered.manifest_of(folder).digest
    folder.rename(folder.with_name(digest))
    with pytest.raises(EvidenceRefused, match=r"no gate report|no evidence"):
        described(tmp_path / "home", digest)

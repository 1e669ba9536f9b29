"""The door of serving: whole files and a gate report that verifies and permits the stage, or nothing."""

import dataclasses
import json

import pytest

from sapphire.domain import ConfigError, EvidenceRefused
from sapphire.domain.clocks import FixedClock
from sapphire.domain.errors import PermitClosed
from sapphire.domain.evidence import GateRow
from sapphire.domain.revocations import Revocation
from sapphire.domain.workspace import config_folder
from sapphire.registry import Admission, Deployment, EvidenceStore, Permit, signing_key
from sapphire.registry.anchors import Anchors
from sapphire.registry.revoking import add_revocation
from sapphire.registry.signing import PUBLIC_FILE
from sapphire.serving import Settings, admit


class TickingClock:
    """A clock that a test moves."""

    def __init__(self, at_ns):
        self.at_ns = at_ns

    def now_ns(self):
        return self.at_ns


@pytest.fixture
def settings(home, place, cross):
    return Settings(home, place(cross))


def test_a_release_with_a_report_that_permits_the_stage_is_admitted(settings, sign_report):
    report = sign_report(settings.release)
    admitted = admit(settings)
    assert admitted.report == report
    assert admitted.manifest.digest == settings.release == admitted.folder.name


def test_no_evidence_no_report_and_no_permission_are_refused_with_the_reason(home, settings, sign_report):
    with pytest.raises(EvidenceRefused, match="no evidence of release"):
        admit(settings)
    sign_report(settings.release, passed=False)
    with pytest.raises(EvidenceRefused, match="does not permit paper"):
        admit(settings)


def test_a_report_for_paper_does_not_admit_to_live_and_one_for_live_admits_to_paper(home, settings, sign_report):
    live = Settings(home, settings.release, "live")
    sign_report(settings.release)
    with pytest.raises(EvidenceRefused, match="no gate report for live"):
        admit(live)
    sign_report(settings.release, target="live", skill=True)
    assert admit(settings).report.permits == "live"
    with pytest.raises(EvidenceRefused, match="no authority to open live"):
        admit(live)
    sign_report(settings.release, passed=False)
    with pytest.raises(PermitClosed, match="does not permit paper"):
        admit(settings)


def test_the_last_report_counts(settings, sign_report):
    sign_report(settings.release)
    sign_report(settings.release, passed=False)
    with pytest.raises(EvidenceRefused, match="does not permit"):
        admit(settings)


def test_a_report_by_another_key_is_refused(home, settings, sign_report, tmp_path):
    sign_report(settings.release)
    signing_key(tmp_path)
    stranger = dataclasses.replace(Deployment.read(), key=tmp_path / PUBLIC_FILE)
    with pytest.raises(EvidenceRefused, match="signature"):
        admit(settings, deployment=stranger)


def test_a_report_without_a_key_to_verify_it_is_refused(home, settings, sign_report):
    sign_report(settings.release)
    with pytest.raises(EvidenceRefused, match="no promoter key"):
        admit(settings, deployment=dataclasses.replace(Deployment.read(), key=home.parent / "none"))


def test_a_policy_that_is_not_pinned_and_a_measure_that_is_not_shown_are_refused(settings, sign_report):
    sign_report(settings.release, policy_digest="9" * 64)
    with pytest.raises(EvidenceRefused, match="the policy differs"):
        admit(settings)
    row = GateRow(gate="integrity", measure="captured_source", needs=True, value=True)
    sign_report(settings.release, rows=(row,))
    with pytest.raises(EvidenceRefused, match="does not show what paper requires") as refused:
        admit(settings)
    assert "integrity.golden_vectors" in refused.value.expected


def test_a_permit_that_has_ended_is_refused(settings, sign_report):
    report = sign_report(settings.release)
    with pytest.raises(PermitClosed, match="has ended"):
        admit(settings, clock=FixedClock(report.valid_until_ns))


def test_a_running_permit_holds_until_it_is_refused_revoked_or_ended(home, settings, sign_report):
    report = sign_report(settings.release, days=3.0)
    permit = admit(settings).permit
    permit.check()
    store = EvidenceStore(home / "evidence")
    store.append(settings.release, "parity", at_ns=9, facts={"day": "2026-03-01"}, files={})
    permit.check()
    sign_report(settings.release, passed=False)
    with pytest.raises(PermitClosed, match="does not permit paper"):
        permit.check()
    renewed = sign_report(settings.release, days=9.0)
    permit.check()
    assert permit.report == renewed != report
    late = Permit(
        Admission(home, Deployment.read()), settings.release, stage="paper", name="trend",
        clock=(clock := TickingClock(renewed.valid_until_ns - 1)),
    )  # fmt: skip
    late.check()
    clock.at_ns += 1
    with pytest.raises(PermitClosed, match="has ended"):
        late.check()


@pytest.mark.parametrize("closed_by", ["refusal", "revocation", "end"])
def test_what_was_admitted_before_goes_on_where_its_permit_was_closed_and_believes_nothing(
    home, place, cross, sign_report, closed_by
):
    """It stands on the report that it stood on last, and says at each turn that the permit is closed."""
    settings = Settings(home, place(cross, name=f"closed-by-{closed_by}"))
    report, clock = sign_report(settings.release), None
    if closed_by == "refusal":
        sign_report(settings.release, passed=False)
    elif closed_by == "revocation":
        admission = Admission(home, Deployment.read())
        entry = Revocation(manifest_digest=settings.release, name="trend", why="wrong prices", who="a@b", at_ns=1)
        add_revocation(admission, admission.deployment.trust(home), signing_key(), entry)
    else:
        clock = FixedClock(report.valid_until_ns)
    with pytest.raises(PermitClosed) as fresh:
        admit(settings, clock=clock)
    admitted = admit(dataclasses.replace(settings, running=True), clock=clock)
    assert admitted.report == report
    assert str(admitted.permit.refusal) == str(fresh.value)
    for _ in range(2):
        with pytest.raises(PermitClosed):
            admitted.permit.check()


def test_a_release_that_was_never_permitted_does_not_go_on(settings, sign_report):
    running = dataclasses.replace(settings, running=True)
    with pytest.raises(EvidenceRefused, match="no evidence of release"):
        admit(running)
    sign_report(settings.release, passed=False)
    with pytest.raises(PermitClosed, match="does not permit paper"):
        admit(running)


def test_a_record_that_was_cut_back_to_its_permit_is_refused(home, settings, sign_report):
    sign_report(settings.release)
    sign_report(settings.release, passed=False)
    Anchors(config_folder(), home).note(settings.release, EvidenceStore(home / "evidence").heads(settings.release))
    path = home / "evidence" / settings.release / "records.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    with pytest.raises(EvidenceRefused, match="was cut back"):
        admit(settings)


def test_a_report_that_was_changed_is_refused(home, settings, sign_report):
    sign_report(settings.release, passed=False)
    (path,) = (home / "evidence" / settings.release).glob("report-*.json")
    report = json.loads(path.read_text())
    report["rows"][0]["value"] = True
    path.write_text(json.dumps(report, sort_keys=True, separators=(",", ":")))
    with pytest.raises(EvidenceRefused, match="not what was recorded"):
        admit(settings)


def test_a_changed_file_is_refused_before_evidence_is_asked(home, settings):
    path = home / "releases" / settings.release / "agents/moving-average-cross/source.py"
    path.write_text(path.read_text() + "\n")
    with pytest.raises(EvidenceRefused, match="not those of its manifest") as refused:
        admit(settings)
    assert "source.py" in refused.value.got


def test_a_release_under_the_name_of_another_is_refused(home, settings, sign_report, place, cross):
    other = place(cross, name="other")
    (home / "releases" / settings.release).rename(home / "kept")
    (home / "releases" / other).rename(home / "releases" / settings.release)
    with pytest.raises(EvidenceRefused, match="another release"):
        admit(settings)


def test_settings_come_from_the_environment(home):
    environment = {"SAPPHIRE_RELEASE": "a" * 64, "SAPPHIRE_STAGE": "live", "SAPPHIRE_BARS_URL": "valkey://127.0.0.1:1"}
    assert Settings.read(environment) == Settings(home, "a" * 64, "live", "valkey://127.0.0.1:1")
    assert Settings.read({"SAPPHIRE_RELEASE": "a" * 64}) == Settings(home, "a" * 64, "paper", "")
    assert Settings.read(environment | {"SAPPHIRE_RUNNING": "1"}).running


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"SAPPHIRE_RELEASE": "trend@1"},
        {"SAPPHIRE_RELEASE": "a" * 64, "SAPPHIRE_STAGE": "test"},
        {"SAPPHIRE_RELEASE": "a" * 64, "SAPPHIRE_RUNNING": "no"},
    ],
)
def test_settings_that_are_none_are_refused(home, environment):
    with pytest.raises(ConfigError):
        Settings.read(environment)

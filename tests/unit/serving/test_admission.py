"""The door of serving: whole files and a gate report that verifies and permits the stage, or nothing."""

import json

import pytest

from sapphire.domain import ConfigError, EvidenceRefused
from sapphire.registry import signing_key
from sapphire.serving import Settings, admit


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
    assert admit(live).report.permits == "live"
    sign_report(settings.release, passed=False)
    assert admit(settings).report.permits == "live"


def test_the_last_report_counts(settings, sign_report):
    sign_report(settings.release)
    sign_report(settings.release, passed=False)
    with pytest.raises(EvidenceRefused, match="does not permit"):
        admit(settings)


def test_a_report_by_another_key_is_refused(home, settings, sign_report, tmp_path):
    signing_key(home)
    sign_report(settings.release, key_home=tmp_path / "stranger")
    with pytest.raises(EvidenceRefused, match="signature"):
        admit(settings)


def test_a_report_without_a_key_to_verify_it_is_refused(home, settings, sign_report):
    sign_report(settings.release)
    (home / "keys" / "promoter.ed25519.pub").unlink()
    with pytest.raises(EvidenceRefused, match="no promoter key"):
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


@pytest.mark.parametrize(
    "environment",
    [{}, {"SAPPHIRE_RELEASE": "trend@1"}, {"SAPPHIRE_RELEASE": "a" * 64, "SAPPHIRE_STAGE": "test"}],
)
def test_settings_that_are_none_are_refused(home, environment):
    with pytest.raises(ConfigError):
        Settings.read(environment)

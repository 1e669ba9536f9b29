"""The schedule of reports: read, refused, and run one at a time; what was missed is made up once."""

import json
import sys

import pytest
import typer

from sapphire.coordination.decisions import Decision, Scope
from sapphire.domain.clocks import to_ns
from sapphire.domain.errors import ConfigError
from sapphire.lab.workspaces import make_workspace
from sapphire.monitoring.commands import report as report_verbs
from sapphire.monitoring.telling.schedule import read_schedule
from sapphire.stack import reports_part
from sapphire.stack.folders import RunFolder
from sapphire.stack.reports_part import ReportsConfig, Scheduler
from sapphire.telemetry.streams import AccountStreams

SCOPE = Scope(AccountStreams("embedded", "paper"), "f" * 64, "trend", "bars")

DAILY = '[daily]\ncron = "5 0 * * *"\npdf = true\n'
KNOWN = ("daily", "weekly")


@pytest.fixture
def schedule(tmp_path):
    def write(text):
        (tmp_path / "reports.toml").write_text(text)
        return read_schedule(tmp_path, KNOWN)

    return write


def test_no_file_is_no_schedule(tmp_path):
    assert read_schedule(tmp_path, KNOWN) == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[daily", "is not TOML"),
        ("daily = 3", "a job"),
        ("[daily]", "has no time"),
        ('[daily]\ncron = "5 0 * *"', "4 fields"),
        ('[daily]\ncron = "61 0 * * *"', "cron of daily"),
        ('[daily]\ncron = "5 0 * * *"\npdff = true', "pdff"),
        ('[daily]\ncron = "5 0 * * *"\npdf = "yes"', "true or false"),
        ('[monthly]\ncron = "5 0 * * *"', "one of daily, weekly"),
    ],
)
def test_a_schedule_that_cannot_be_meant_is_refused(schedule, text, message):
    with pytest.raises(ConfigError) as refused:
        schedule(text)
    assert message in str(refused.value)


def test_cron_jobs_can_be_made_of_it(tmp_path, monkeypatch, capsys):
    folder = make_workspace(tmp_path / "desk").folder
    (folder / "reports.toml").write_text(DAILY)
    monkeypatch.chdir(folder)
    typer.main.get_command(report_verbs)(["schedule", "--json"], standalone_mode=False)
    assert json.loads(capsys.readouterr().out) == {
        "file": str(folder / "reports.toml"),
        "jobs": [
            {
                "name": "daily",
                "report": "daily",
                "cron": "5 0 * * *",
                "time_zone": "Etc/UTC",
                "pdf": True,
                "command": ["sapphire", "report", "run", "daily", "--pdf"],
                "concurrency": "forbid",
            }
        ],
    }


class Counted:
    def __init__(self):
        self.outcomes = []

    def __call__(self, job, came):
        self.outcomes.append((job, came))
        return self

    def inc(self):
        pass


@pytest.fixture
def part(tmp_path, schedule, monkeypatch):
    """A scheduler of a run whose market time a test sets, and what it was told to render."""
    run, begun = RunFolder(tmp_path / "run"), []
    run.path.mkdir()
    real = reports_part.subprocess.Popen

    def begin(words, **how):
        begun.append(words[words.index("report") :])
        return real([sys.executable, "-c", "raise SystemExit(int(open('code').read()))"], cwd=tmp_path)

    (tmp_path / "code").write_text("0")
    monkeypatch.setattr(reports_part.subprocess, "Popen", begin)
    monkeypatch.setattr(Scheduler, "_day", lambda self, job, day: ["--day", day.isoformat()])
    config = ReportsConfig(run=str(run.path), home=str(tmp_path), workspace=str(tmp_path))
    counted = Counted()

    def at(*moments, jobs=DAILY):
        scheduler = Scheduler(config, schedule(jobs), counted)
        for moment in moments:
            run.decisions.write_bytes(Decision.on(SCOPE, to_ns(moment)).line)
            scheduler.turn()
            while scheduler.is_busy:
                scheduler.turn()
        return scheduler

    return at, begun, counted, tmp_path


def test_each_day_is_rendered_once_when_its_time_comes(part):
    at, begun, counted, _ = part
    at("2025-03-07T12:00Z", "2025-03-08T00:00Z", "2025-03-08T00:05Z", "2025-03-08T00:10Z", "2025-03-09T00:10Z")
    run = begun[0][begun[0].index("--run") + 1]
    assert begun == [["report", "run", "daily", "--pdf", "--run", run, "--day", f"2025-03-0{day}"] for day in (7, 8)]
    assert counted.outcomes == [("daily", "rendered")] * 2


def test_what_was_missed_while_it_was_down_is_made_up_once(part):
    at, begun, _, _ = part
    at("2025-03-07T12:00Z")
    at("2025-03-12T12:00Z", "2025-03-12T12:05Z")
    assert [words[-1] for words in begun] == ["2025-03-11"]
    at("2025-03-12T12:10Z")
    assert len(begun) == 1


def test_jobs_run_one_after_the_other_and_a_failure_is_counted(part):
    at, begun, counted, folder = part
    jobs = DAILY + '[second]\nreport = "weekly"\ncron = "5 0 * * *"\n'
    at("2025-03-07T12:00Z", "2025-03-07T12:05Z", jobs=jobs)
    (folder / "code").write_text("1")
    at("2025-03-08T00:05Z", "2025-03-08T00:10Z", jobs=jobs)
    assert [words[2] for words in begun] == ["daily", "weekly"]
    assert counted.outcomes == [("daily", "failed"), ("second", "failed")]


def test_one_that_was_ended_while_it_rendered_is_begun_again(part):
    at, begun, counted, folder = part
    at("2025-03-07T12:00Z")
    RunFolder(folder / "run").decisions.write_bytes(Decision.on(SCOPE, to_ns("2025-03-08T00:05Z")).line)
    scheduler = at()
    scheduler.turn()
    assert scheduler.is_busy
    scheduler.stop()
    at("2025-03-08T00:10Z")
    assert [words[-1] for words in begun] == ["2025-03-07", "2025-03-07"]
    assert counted.outcomes == [("daily", "rendered")]

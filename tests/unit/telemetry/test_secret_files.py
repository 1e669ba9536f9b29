"""Whose files with secrets are read: the reader's own, and root's as a cluster mounts them."""

import os
import stat
import tempfile
from pathlib import Path

import pytest

from sapphire.domain.errors import ConfigError, Refused
from sapphire.telemetry.bus import with_password
from sapphire.telemetry.secret_files import read_secret, what_is_open, write_secret

ROOT, READER, OTHER = 0, 10_001, 10_002


def of(owner, mode):
    return os.stat_result((stat.S_IFREG | mode, 0, 0, 1, owner, READER, 0, 0, 0, 0))


@pytest.mark.parametrize(
    ("owner", "mode"), [(READER, 0o600), (READER, 0o400), (ROOT, 0o440), (ROOT, 0o640), (ROOT, 0o400), (ROOT, 0o600)]
)
def test_own_files_and_root_s_that_the_group_reads_are_private(owner, mode):
    assert what_is_open(of(owner, mode), reader=READER) is None


@pytest.mark.parametrize(
    ("owner", "mode", "said"),
    [
        (READER, 0o640, "0640"),
        (READER, 0o440, "0440"),
        (READER, 0o604, "0604"),
        (ROOT, 0o444, "root's 0444"),
        (ROOT, 0o460, "root's 0460"),
        (ROOT, 0o660, "root's 0660"),
        (ROOT, 0o441, "root's 0441"),
        (OTHER, 0o600, "0600 of user 10002"),
        (OTHER, 0o440, "0440 of user 10002"),
    ],
)
def test_what_others_read_or_write_is_refused(owner, mode, said):
    assert said in what_is_open(of(owner, mode), reader=READER)


def test_root_s_own_files_are_as_anybody_s_own():
    assert what_is_open(of(ROOT, 0o640), reader=ROOT) == "0640"
    assert what_is_open(of(ROOT, 0o600), reader=ROOT) is None


def test_a_reader_in_a_container_reads_what_root_mounted():
    """As kubelet mounts a Secret: root's, mode 0440, of the container's group."""
    assert os.geteuid() == ROOT, "only root makes files of root's: run the tests as root"
    with tempfile.TemporaryDirectory() as folder:  # pytest's own are root's alone
        Path(folder).chmod(0o755)
        path = Path(folder) / "signal-key"
        write_secret(path, "secret\n")
        os.chown(path, ROOT, READER)
        path.chmod(0o440)
        assert as_reader(path) == "secret\n"
        path.chmod(0o444)
        assert "others can read" in as_reader(path)


def as_reader(path):
    """What a process of another user reads there, or what it is refused with."""
    report = path.with_name("report")
    report.touch()
    report.chmod(0o666)
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([READER])
            os.setgid(READER)
            os.setuid(READER)
            report.write_text(read_secret(path, absent="none"))
        except Refused as refused:
            report.write_text(str(refused))
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    return report.read_text()


def test_a_password_in_a_file_comes_into_the_address(tmp_path):
    path = tmp_path / "bus-password"
    write_secret(path, "a/b:c\n")
    assert with_password("valkey://service%3Apaper@valkey:6379/0", path) == (
        "valkey://service%3Apaper:a%2Fb%3Ac@valkey:6379/0"
    )
    assert with_password("valkey://u:p@valkey:6379/0", None) == "valkey://u:p@valkey:6379/0"


@pytest.mark.parametrize(
    ("url", "content", "error"),
    [
        ("valkey://valkey:6379/0", "secret", ConfigError),
        ("valkey://u:hush@valkey:6379/0", "secret", ConfigError),
        ("valkey://u@valkey:6379/0", "", Refused),
    ],
)
def test_a_password_twice_or_for_nobody_is_refused_and_not_shown(tmp_path, url, content, error):
    path = tmp_path / "bus-password"
    write_secret(path, content)
    with pytest.raises(error) as refused:
        with_password(url, path)
    assert "secret" not in str(refused.value).replace("bus-password", "")
    assert "hush" not in str(refused.value)


def test_no_file_says_who_makes_it(tmp_path):
    with pytest.raises(Refused, match="has no password") as refused:
        with_password("valkey://u@valkey:6379/0", tmp_path / "bus-password")
    assert refused.value.next == "sapphire secrets make draws it"

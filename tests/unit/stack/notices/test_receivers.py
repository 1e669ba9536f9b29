"""Addresses are secrets: where they are is said, what they are is not."""

import pytest

from sapphire.domain import ConfigError
from sapphire.domain.workspace import workspace
from sapphire.stack.notices.receivers import read_receivers, receiver_sources

SLACK = "https://hooks.slack.com/services/T0AAAAAAAA/B0BBBBBBBB/cccccccccccccccccccccccc"
TOKEN = "123456789:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
SECRETS = ("T0AAAAAAAA", "cccccccc", "AAAAAAAAAA")


@pytest.fixture
def write_settings(tmp_path, monkeypatch):
    """A workspace; writes its settings."""
    monkeypatch.chdir(tmp_path)

    def write(text):
        (tmp_path / "sapphire.toml").write_text(text)
        return tmp_path

    return write


def receivers(**environment):
    return {each.shape: each for each in read_receivers(receiver_sources(), environment)}


def test_an_address_comes_from_a_variable_or_from_a_file_that_only_its_owner_can_read(write_settings):
    place = write_settings(
        "[notify]\ndenials_in_a_bar = 3\n[notify.slack]\naddress_env = 'SLACK'\nkinds = ['halt', 'fills']\n"
        "[notify.telegram]\naddress_file = 'bot'\nchat = -100123\n[notify.json]\naddress_env = 'HOOK'"
    )
    (place / "bot").write_text(f"{TOKEN}\n")
    (place / "bot").chmod(0o600)
    found = receivers(SLACK=f" {SLACK}\n", HOOK="http://127.0.0.1:9/x")
    assert list(found) == ["json", "slack", "telegram"]
    assert found["slack"].address == SLACK
    assert found["slack"].kinds == {"halt", "fills"}
    assert found["json"].kinds == {"halt", "denials", "undecided", "restarts", "fills", "report"}
    assert found["telegram"].address == f"https://api.telegram.org/bot{TOKEN}/sendMessage"
    assert found["telegram"].chat == "-100123"
    sources = receiver_sources()
    assert sources["denials_in_a_bar"] == 3
    for secret in SECRETS:
        assert secret not in f"{sources} {found}"


@pytest.mark.parametrize(
    "address", [f"https://api.telegram.org/bot{TOKEN}", f"https://api.telegram.org/bot{TOKEN}/sendMessage", TOKEN]
)
def test_a_bot_is_named_by_its_token_or_by_its_address(write_settings, address):
    write_settings("[notify.telegram]\naddress_env = 'BOT'\nchat = '@desk'")
    found = receivers(BOT=address)["telegram"]
    assert (found.address, found.chat) == (f"https://api.telegram.org/bot{TOKEN}/sendMessage", "@desk")


WRITTEN = [
    f"[notify.slack]\naddress = '{SLACK}'",
    f"[notify.slack]\nurl = '{SLACK}'",
    f"[notify.slack]\nwebhook = '{SLACK.removeprefix('https://')}'",
    f"[notify.slack]\naddress_env = '{SLACK}'",
    f"[notify.slack]\naddress_file = '{SLACK}'",
    f"[notify.slack]\naddress_env = 'SLACK'\nkinds = ['{SLACK}']",
    f"[notify.telegram]\ntoken = '{TOKEN}'\nchat = 1",
    f"[notify.telegram]\naddress_env = '{TOKEN}'\nchat = 1",
    f"[notify]\nslack = '{SLACK}'",
    f"[notify]\ntoken = '{'c' * 24}'",
    f"[notfiy.slack]\naddress = '{SLACK}'",
    f"notify = '{SLACK}'",
    f"[[notify]]\naddress = '{SLACK}'",
    f"name = '{SLACK}'",
]


@pytest.mark.parametrize("text", WRITTEN)
def test_an_address_in_the_file_that_is_shared_is_refused_and_not_repeated(write_settings, text):
    write_settings(text)
    with pytest.raises(ConfigError) as refused:
        workspace()
    message = str(refused.value)
    assert "not shown" in message
    assert "hooks.slack" not in message
    for secret in SECRETS:
        assert secret not in message
    if SLACK in text:
        assert "address_env" in refused.value.next
        assert "secret" in refused.value.next


@pytest.mark.parametrize(
    ("text", "words", "expected"),
    [
        ("[notify.slack]", "where the address", "address_env or address_file"),
        ("[notify.slack]\naddress_env = 'A'\naddress_file = 'b'", "where the address", "one of them"),
        ("[notify.telegram]\naddress_env = 'SLACK'", "which chat", "the chat's number"),
        ("[notify.slack]\naddress_env = 'NOT_SET'", "the address of notify.slack", "NOT_SET"),
        ("[notify.slack]\naddress_file = 'none'", "the address of notify.slack", "none with nothing but"),
        ("[notify.slack]\naddress_file = '.'", "the address of notify.slack", "nothing but the address"),
        ("[notify.slack]\naddress_file = 'open'", "others can read the address", "0600"),
        ("[notify.slack]\naddress_env = 'ODD'", "the address of notify.slack", "https://HOST"),
        ("[notify.slack]\naddress_env = 'PLAIN'", "goes over the net in the open", "https://"),
        ("[notify.telegram]\naddress_env = 'ODD'\nchat = 1", "the address of notify.telegram", "a bot's token"),
    ],
)
def test_what_cannot_be_told_is_refused_with_what_to_do(write_settings, text, words, expected):
    place = write_settings(text)
    (place / "open").write_text(SLACK)
    (place / "open").chmod(0o640)
    with pytest.raises(ConfigError) as refused:
        receivers(SLACK=SLACK, ODD=f"ftp://{SLACK[8:]}", PLAIN=SLACK.replace("https", "http"))
    assert words in refused.value.what
    assert expected in refused.value.expected
    assert refused.value.next
    for secret in SECRETS:
        assert secret not in str(refused.value)


@pytest.mark.parametrize(
    "text", ["[notify.slack]\nkinds = ['fils']", "[notify]\ndenials_in_a_bar = 0", "[notify.slack]\nkinds = 'fills'"]
)
def test_a_kind_that_there_is_not_is_refused(write_settings, text):
    write_settings(text)
    with pytest.raises(ConfigError):
        workspace()

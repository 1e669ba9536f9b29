"""A notice is shown as it stands by each service, and is never longer than the service takes."""

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sapphire.stack.notices.notice import Notice
from sapphire.stack.notices.shapes import SERVICES, body_of, text_of

HOSTILE = "<!channel> <@U1> @everyone & *bold* _it_ ~no~ `code` [a](http://x) # head > quote \\ | \u202edesrever\x1b[2J"


def notice(title="Trading is HALTED", lines=("by a test",), **changes):
    fields = {"id": "trading-7-1", "kind": "halt", "about": "paper.trend@1 on paper; account paper, generated market"}
    return Notice(**fields | {"title": title, "lines": tuple(lines), "wall_ns": 5, "market_ns": 10**18} | changes)


def test_json_says_everything():
    body = body_of(notice(facts={"state": "HALTED"}), "json", untold={"fills": 2})
    assert body["format"] == "NOTICE@1"
    assert (body["id"], body["kind"], body["title"]) == ("trading-7-1", "halt", "Trading is HALTED")
    assert (body["wall_ns"], body["market_ns"]) == ("5", str(10**18))
    assert (body["facts"], body["undelivered_before"]) == ({"state": "HALTED"}, {"fills": 2})
    assert body["text"].splitlines() == [
        "Trading is HALTED",
        "by a test",
        "paper.trend@1 on paper; account paper, generated market, 2001-09-09T01:46:40Z",
        "not delivered before this: 2 fills",
    ]


def test_slack_gets_its_three_entities_and_no_format():
    body = body_of(notice(lines=[HOSTILE]), "slack")
    assert body.keys() == {"text", "mrkdwn", "unfurl_links", "unfurl_media"}
    assert body["mrkdwn"] is False
    line = body["text"].splitlines()[1]
    assert line.startswith("&lt;!channel&gt; &lt;@U1&gt; @everyone &amp; *bold*")
    assert not re.search(r"[<>]|&(?!amp;|lt;|gt;)", body["text"])


def test_discord_mentions_nobody_and_formats_nothing():
    body = body_of(notice(lines=[HOSTILE, "- 5 of it", "-5 of it"]), "discord")
    assert body["allowed_mentions"] == {"parse": []}
    lines = body["content"].splitlines()
    assert lines[1].startswith(
        r"\<!channel\> \<@U1\> @everyone & \*bold\* \_it\_ \~no\~ \`code\` \[a\](http://x) \# head"
    )
    assert lines[2:4] == [r"\- 5 of it", "-5 of it"]


def test_telegram_gets_html_that_reads_back_as_it_was():
    body = body_of(notice(lines=[HOSTILE]), "telegram", chat="-100123")
    assert (body["chat_id"], body["parse_mode"]) == ("-100123", "HTML")
    assert not re.search(r"[<>]", body["text"])
    assert html.unescape(body["text"].splitlines()[1]).startswith("<!channel> <@U1> @everyone & *bold*")


@pytest.mark.parametrize("shape", SERVICES)
def test_nothing_steers_a_terminal_or_turns_the_writing_round(shape):
    text = text_of(notice(title="a\nb", lines=[HOSTILE]), shape, untold={})
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert text.splitlines()[0] == "a b"


TEXTS = st.text(max_size=700) | st.sampled_from(["*" * 900, "<" * 900, "😀" * 900])


@pytest.mark.parametrize("shape", ["slack", "discord", "telegram"])
@given(title=TEXTS, lines=st.lists(TEXTS, max_size=12), about=TEXTS)
def test_no_message_is_longer_than_the_service_takes_and_what_is_left_out_is_counted(shape, title, lines, about):
    text = text_of(notice(title=title, lines=lines, about=about), shape, untold={"fills": 3})
    assert len(text.encode("utf-16-le")) // 2 <= SERVICES[shape].longest
    shown = text.split("\n")
    assert "not delivered before this: 3 fills" in shown[-1]
    left = re.fullmatch(r"… and ([\d,]+) more lines", shown[-3])
    assert len(shown) - 3 - (left is not None) + (int(left[1].replace(",", "")) if left else 0) == len(lines)


def test_a_storm_of_lines_is_cut_where_the_service_ends():
    lines = [
        f"BUY 0.5 COIN{number}/USDT at 64,250.10: 32,125.05 USDT, fee 0.0005 COIN{number}" for number in range(500)
    ]
    found = {shape: text_of(notice(lines=lines), shape, untold={}) for shape in SERVICES}
    assert len(found["json"].splitlines()) == 502
    for shape in ("slack", "discord", "telegram"):
        assert re.search(r"… and \d+ more lines\npaper.trend@1", found[shape])
        assert len(found[shape]) > SERVICES[shape].longest - 150

"""Documents from files and feeds: whole or not at all, each version once, without markup and without anybody's name."""

import json
from datetime import timedelta

import pytest

from sapphire.data.documents import DocumentStore, import_documents
from sapphire.data.documents.cleaning import clean_text
from sapphire.domain.clocks import FixedClock, to_ns
from sapphire.domain.errors import BadDocuments, DataError, MissingData, ValueRefused

NOW = FixedClock(to_ns("2024-06-01T00:00Z"))
MINUTE = 60_000_000_000
FIRST = to_ns("2024-03-01T05:00Z")
pytestmark = pytest.mark.usefixtures("home")


def lines(*items):
    return "\n".join(json.dumps(item) for item in items).encode()


def item(name="a", **changed):
    return {"id": name, "title": "Up", "text": "BTC rises", "published": "2024-03-01T05:00:00Z"} | changed


def imported(given, **changed):
    return import_documents(given, **{"kind": "news", "source": "desk", "licence": "CC0", "clock": NOW} | changed)


def stored(kind="news"):
    return list(DocumentStore().read(kind))


def test_an_item_without_a_received_time_gets_the_published_one_and_the_delay():
    done = imported(lines(item("a"), item("b", title="b"), item("c", title="c", received="2024-03-01T08:00:00+02:00")))
    assert (done.items, done.added, done.edits, done.repeats, done.delay_s) == (3, 3, 0, 0, 60.0)
    assert {each.id: each.received_ns - FIRST for each in stored()} == {"a": MINUTE, "b": MINUTE, "c": 60 * MINUTE}
    imported(lines(item("d", text="d")), kind="note", delay=timedelta(minutes=5))
    assert stored("note")[0].received_ns - FIRST == 5 * MINUTE
    assert [entry.delay_ns for kind in ("news", "note") for entry in DocumentStore().imports(kind)] == [
        MINUTE,
        5 * MINUTE,
    ]


def test_what_is_there_is_not_imported_again():
    first = lines(item("a"), item("b", title="Down", text="ETH falls"))
    imported(first)
    again = imported(first)
    assert (again.added, again.edits, again.repeats) == (0, 0, 2)
    elsewhere = imported(lines(item("another", url="https://other.example/a")))
    assert (elsewhere.added, elsewhere.repeats) == (0, 1)
    later = imported(lines(item("next-week", published="2024-03-08T05:00:00Z")))
    assert (later.added, later.repeats) == (1, 0)
    assert [(each.id, each.version) for each in stored()] == [("a", 1), ("b", 1), ("next-week", 1)]
    assert len(DocumentStore().imports("news")) == 2


def test_the_same_id_of_another_source_is_another_document():
    imported(lines(item("1")))
    done = imported(lines(item("1", text="ETH falls")), source="other")
    assert (done.added, done.edits) == (1, 0)
    assert [(each.source, each.version) for each in stored()] == [("desk", 1), ("other", 1)]
    assert len(DocumentStore().read("news").of("news")) == 2


def test_an_edit_is_another_version_that_is_not_read_in_the_past():
    imported(lines(item("a")))
    undated = lines(item("a", text="BTC fell, we were wrong"))
    assert (imported(undated).edits, imported(undated).edits) == (1, 0)
    dated = lines(item("a", text="BTC fell.", updated="2024-03-01T06:00:00Z"))
    assert (imported(dated).edits, imported(dated).edits) == (1, 0)
    edit = lines(item("a", text="BTC fell!", received="2024-03-01T07:00:00Z"))
    assert (imported(edit).edits, imported(edit).repeats) == (1, 1)
    found = [(each.version, each.received_ns) for each in stored()]
    assert found == [(1, FIRST + MINUTE), (3, FIRST + 61 * MINUTE), (4, FIRST + 120 * MINUTE), (2, NOW.at_ns)]


def test_another_delay_puts_no_edit_into_the_past():
    imported(lines(item("a")))
    imported(lines(item("a", text="BTC fell")), delay="10m")
    assert [each.received_ns for each in stored()] == [FIRST + MINUTE, NOW.at_ns]


def test_a_text_that_goes_back_to_what_it_was_is_a_version_more():
    for hour, text in enumerate(("BTC rises", "BTC falls", "BTC rises")):
        imported(lines(item("a", text=text, updated=f"2024-03-01T{6 + hour:02}:00:00Z")))
    assert [each.version for each in stored()] == [1, 2, 3]
    assert imported(lines(item("a", symbols="BTC/USDT", updated="2024-03-01T09:00:00Z"))).edits == 1
    assert stored()[-1].symbols == ("BTC/USDT",)


BAD = {
    "a naive time": (item(published="2024-03-01T05:00:00"), "published: a time with its offset"),
    "a day": (item(published="2024-03-01"), "without one"),
    "a naive time of RFC 2822": (item(published="Fri, 01 Mar 2024 05:00:00"), "without one"),
    "a naive received time": (item(received="2024-03-01 06:00"), "received: a time with its offset"),
    "no time": ({"title": "x"}, "published: ISO 8601"),
    "a number for a time": (item(published=1709269200), "2024-03-01T05:00:00Z, or nanoseconds"),
    "a time in no calendar": (item(published="yesterday"), "'yesterday'"),
    "a time before all times": (item(published="1850-01-01T00:00Z"), "from 1970 on"),
    "a time behind all times": (item(published="9999-01-01T00:00Z"), "before 2262"),
    "nothing said": (item(title="", text="<p></p>"), "a title or a text"),
    "received before it was published": (item(received="2024-03-01T04:00:00Z"), "last changed, or later"),
    "received before it was changed": (
        item(updated="2024-03-01T07:00Z", received="2024-03-01T06:00Z"),
        "last changed, or later",
    ),
    "a title that is a list": (item(title=["x"]), "title: a text"),
    "symbols that are a number": (item(symbols=3), "symbols: a list of texts"),
    "no days": (item(retention_days=0), "retention_days: a whole number"),
    "a list": ([1], "a JSON object"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_line_is_refused_by_its_number_and_nothing_is_imported(what):
    bad, expected = BAD[what]
    with pytest.raises(BadDocuments) as refused:
        imported(lines(item("good"), bad, item("better")))
    assert "1 item of 3" in refused.value.what
    assert refused.value.got.startswith("line 2: ")
    assert expected in refused.value.got
    assert not DocumentStore().kinds


def test_lines_that_are_no_json_are_named_too():
    data = lines(item("good")) + b"\n\n{\n" + b"\xff\n" + b"[" * 100_000
    with pytest.raises(BadDocuments) as refused:
        imported(data)
    assert [line.split(":")[0] for line in refused.value.got.splitlines()] == ["line 3", "line 4", "line 5"]


def test_what_is_said_of_all_items_is_looked_at_first(tmp_path):
    for changed in (
        {"kind": "tweet"},
        {"source": ""},
        {"licence": " "},
        {"retention_days": 0},
        {"delay": "soon"},
        {"delay": "60w"},
    ):
        with pytest.raises(ValueRefused):
            imported(lines(item()), **changed)
    for given in (tmp_path / "none.jsonl", tmp_path, b"", b"title,published\n"):
        with pytest.raises((MissingData, BadDocuments)):
            imported(given)
    assert not DocumentStore().kinds


def test_a_table_with_a_header_is_read(tmp_path):
    path = tmp_path / "news.csv"
    head = "Id,Title,Text,Published,Received,Symbols,Author,Mood\n"
    rows = '1,Up,"BTC rises,\nand so on",2024-03-01T05:00Z,,"BTC/USDT, ETH/USDT",Ann Lee,good\n'
    path.write_bytes(b"\xef\xbb\xbf" + (head + rows).encode())
    done = imported(path)
    assert (done.added, done.file, done.unread) == (1, "news.csv", ("Author", "Mood"))
    (one,) = stored()
    assert (one.id, one.text, one.symbols) == ("1", "BTC rises,\nand so on", ("BTC/USDT", "ETH/USDT"))
    path.write_text(head + "1,Up\n" + rows)
    with pytest.raises(BadDocuments, match="1 item of 2") as refused:
        imported(path)
    assert refused.value.got == "line 2: expected 8 cells, got 2"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(BadDocuments) as refused:
        imported(path)
    assert "a header with published" in refused.value.got


RSS = """<?xml version="1.0"?>
<rss version="2.0" xmlns:dc="http://purl.org/dc/elements/1.1/"
     xmlns:content="http://purl.org/rss/1.0/modules/content/">
<channel><title>Desk</title><language>en-GB</language><managingEditor>boss@desk.example (Bo Ek)</managingEditor>
<item><guid isPermaLink="false">tag:ann@desk.example,2024:17</guid><title>Up &amp;amp; away</title>
<link>https://key:word@desk.example/up?session=1#top</link><pubDate>Fri, 01 Mar 2024 06:00:00 +0100</pubDate>
<description>short</description><dc:creator>Ann Lee</dc:creator>
<content:encoded><![CDATA[<p>BTC &gt; 60,000</p><script>alert(1)</script>
<p>By Ann Lee (ann.lee@desk.example, +44 20 7946 0958)</p>]]></content:encoded></item>
<item><title>Down</title><link>https://desk.example/down</link><pubDate>Fri, 01 Mar 2024 07:00:00 GMT</pubDate></item>
</channel></rss>"""
ATOM = """<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="en"><title>Desk</title>
<entry><id>urn:17</id><title type="html">&lt;b&gt;Up&lt;/b&gt;</title><author><name>Ann Lee</name></author>
<link rel="self" href="https://desk.example/feed"/><link href="https://desk.example/up?x=1"/>
<published>2024-03-01T05:00:00Z</published><updated>2024-03-01T06:30:00Z</updated>
<content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml"><p>BTC rises</p><p>says Ann Lee</p></div></content>
</entry>
<entry><id>urn:18</id><title>a &lt;b&gt; c</title><updated>2024-03-01T07:00:00+01:00</updated></entry></feed>"""


def test_a_feed_of_rss_is_read_without_who_wrote_it():
    assert imported(RSS.encode()).added == 2
    up, down = stored()
    assert (up.title, up.text, up.language) == ("Up & away", "BTC > 60,000\n(, )", "en-gb")
    assert (up.url, up.published_ns, up.received_ns) == ("https://desk.example/up", FIRST, FIRST + MINUTE)
    assert up.id.startswith("sha256:")
    assert (down.id, down.text) == ("https://desk.example/down", "")
    kept = b"".join(path.read_bytes() for path in DocumentStore().root.rglob("*") if path.is_file())
    assert not [name for name in (b"Ann", b"ann.lee", b"Bo Ek", b"7946", b"word", b"session") if name in kept]


def test_what_an_entry_of_atom_became_is_known_when_it_was_changed():
    imported(ATOM.encode())
    low, up = stored()
    assert (up.published_ns, up.received_ns) == (FIRST, FIRST + 91 * MINUTE)
    assert (up.title, up.text, up.url) == ("Up", "BTC rises\nsays", "https://desk.example/up")
    assert (low.title, low.published_ns, low.language) == ("a <b> c", FIRST + 60 * MINUTE, "en")


BOMB = '<!DOCTYPE rss [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>'
FILE = '<!DOCTYPE rss [<!ENTITY a SYSTEM "file:///etc/hostname">]>'
FEEDS = {
    "an entity bomb": RSS.replace('<?xml version="1.0"?>', BOMB).replace("short", "&b;"),
    "an entity of a file": RSS.replace('<?xml version="1.0"?>', FILE).replace("short", "&a;"),
    "a document type elsewhere": RSS.replace('<?xml version="1.0"?>', '<!DOCTYPE rss SYSTEM "http://x.example/x.dtd">'),
    "half a feed": RSS[:300],
    "another version": RSS.replace('version="2.0"', 'version="0.91"'),
    "a page": "<html><body/></html>",
    "a naive time": RSS.replace("07:00:00 GMT", "07:00:00"),
    "no time": RSS.replace("<pubDate>Fri, 01 Mar 2024 07:00:00 GMT</pubDate>", ""),
}


@pytest.mark.parametrize("what", FEEDS)
def test_a_feed_that_is_none_or_means_harm_is_refused(what):
    with pytest.raises(BadDocuments) as refused:
        imported(FEEDS[what].encode())
    if "time" in what:
        assert refused.value.got.startswith("item 2: ")
    assert not DocumentStore().kinds


KEPT = [
    "BTC at $67,250.00, up +1.2345678 % on 2024-03-01 12:00:05 UTC",
    "volume 1,234,567,890 at block 840000 of 0x52908400098527886E0F7030069857D2E4169EE7",
    "opened 01/02/2024 10:00, closed 01-02-2024, ids 100 200 3000, 12 345 678 BTC, 1711929600000",
    "from 60000-70000 to 0.12345678; @desk said 5 < 6",
]
DROPPED = {
    "call +49 (0)151 2345 6789 now": "call now",
    "call 212-555-0100 or (212) 555-0100": "call or",
    "tel: 555 0100 99": "tel:",
    "fax 030/1234567, or 020 7946 0958.": "fax , or .",
    "mail joe [at] desk.example and mailto:bob.b@desk.example.": "mail and .",
}


def test_personal_data_goes_and_numbers_stay():
    assert [clean_text(text) for text in KEPT] == KEPT
    assert {text: clean_text(text) for text in DROPPED} == DROPPED
    assert clean_text("so\u00adft <ETH\x00rally\ud800 a &lt; b") == "soft <ETH rally a < b"
    assert clean_text("by ANN LEE, Ann Leeds", names=["Ann Lee"]) == ", Ann Leeds"


@pytest.mark.timeout(20)
@pytest.mark.parametrize("part", ["a", "<a ", "<!--", "</", "<a b='", "a@", "+1 ", "0 1", "call ", "(at) ", "<script>"])
def test_a_text_that_means_harm_takes_no_time(part):
    """One that goes over it once for each part would take minutes."""
    assert len(clean_text(part * 100_000)) <= len(part) * 100_000


def test_a_page_of_any_depth_is_read():
    deep = "<div>" * 20_000 + "BTC rises" + "</div>" * 20_000
    imported(ATOM.replace("<p>BTC rises</p>", deep).encode())
    assert "BTC rises" in [each.text for each in stored()][1]


def test_a_file_that_was_damaged_is_named():
    imported(lines(item("a")))
    (path,) = DocumentStore().root.rglob("*.parquet")
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(DataError, match=r"000001\.parquet cannot be read"):
        stored()


def test_an_import_that_was_killed_leaves_nothing_that_is_seen(monkeypatch):
    imported(lines(item("a")))
    with monkeypatch.context() as broken:
        broken.setattr(DocumentStore, "_save", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            imported(lines(item("b", title="b")))
    assert [each.id for each in stored()] == ["a"]
    imported(lines(item("c", title="c")))
    assert [each.id for each in stored()] == ["a", "c"]

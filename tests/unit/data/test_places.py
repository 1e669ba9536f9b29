"""Places: one interface, on a folder and on the real PostgreSQL with real bucket servers."""

from __future__ import annotations

import itertools
import json
import os
import resource
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import psycopg
import pytest
from place_servers import (
    READER_KEY,
    READER_SECRET,
    GcsServer,
    PostgresServer,
    S3Server,
    free_ports,
    postgres_server,
    s3_server,
)

from sapphire.data.places import Place, PlaceSettings, SharedChain, shared_place
from sapphire.data.places.schema import KNOWN, migrate
from sapphire.domain.canonical import canonical_json, sha256_of
from sapphire.domain.errors import (
    ConfigError,
    HeadMoved,
    PlaceDamaged,
    PlaceDenied,
    PlaceError,
    PlaceFull,
    PlaceUnreachable,
    Refused,
    SapphireError,
    ValueRefused,
)

STORES = ("folder", "s3", "gcs")
SECRETS = ("a-password-of-tests", "a-bucket-secret-of-tests", "another-password", "a-reader-secret-of-tests")
_NUMBER = itertools.count()


@pytest.fixture
def settings(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[[str], dict[str, str]]:
    """Variables of a new, empty place of a kind."""

    def of(kind: str) -> dict[str, str]:
        if kind == "folder":
            (tmp_path / "place").mkdir(exist_ok=True)
            return {"SAPPHIRE_PLACES_FOLDER": str(tmp_path / "place")}
        name = f"t{os.getpid()}x{next(_NUMBER)}"
        postgres, bucket = request.getfixturevalue("postgres"), request.getfixturevalue(kind)
        return {**postgres.place_settings(name), **bucket.place_settings(name)}

    return of


@pytest.fixture(params=STORES)
def place(request: pytest.FixtureRequest, settings: Callable[[str], dict[str, str]]) -> Place:
    return PlaceSettings.read(settings(request.param)).open()


def test_bytes_are_kept_once_and_checked_when_they_are_read(place: Place) -> None:
    data = os.urandom(3_000)
    sha256 = place.put("ledger", data)
    assert sha256 == sha256_of(data)
    place.blobs.put(f"ledger/{sha256}", b"others")  # conditional: what is there stays
    assert place.get("ledger", sha256) == data
    many = {f"n{number}": os.urandom(100) for number in range(20)}
    digests = place.put_all("ledger", many)
    assert place.get_all("ledger", list(digests.values())) == tuple(many.values())
    assert place.blobs.keys("ledger/") == tuple(sorted(f"ledger/{each}" for each in {sha256, *digests.values()}))
    assert place.blobs.keys("evidence/") == ()
    with pytest.raises(PlaceDamaged, match="are not there"):
        place.get("ledger", "0" * 64)
    place.blobs.put(f"ledger/{'1' * 64}", b"not of that sha256")
    with pytest.raises(PlaceDamaged, match="are not there"):
        place.get("ledger", "1" * 64)


def test_a_head_moves_from_where_it_stands_alone(place: Place) -> None:
    assert place.head("ledger/trials") is None
    place.move("ledger/trials", before=0, sequence=3, value="c")
    place.move("ledger/trials", before=3, sequence=4, value="d")
    for before in (0, 2, 3, 7):
        with pytest.raises(HeadMoved):
            place.move("ledger/trials", before=before, sequence=9, value="x")
    place.move("ledger/other", before=0, sequence=1, value="o")
    place.move("ledgers", before=0, sequence=1, value="not of the folder")
    assert [(head.name, head.sequence, head.value) for head in place.newest("ledger")] == [
        ("ledger/other", 1, "o"),
        ("ledger/trials", 4, "d"),
    ]
    assert [head.value for head in place.since("ledger/trials", 0)] == ["c", "d"]
    assert [head.value for head in place.since("ledger/trials", 3)] == ["d"]
    for bad in ("", "../up", "a//b", "a b", "a/..", "x" * 500):
        with pytest.raises(ValueRefused):
            place.head(bad)
    with pytest.raises(ValueRefused):
        place.move("ledger/trials", before=4, sequence=4, value="x")


def test_of_many_that_move_one_head_at_once_one_wins_each_turn(place: Place) -> None:
    won: list[int] = []

    def move() -> None:
        for _ in range(6):
            while True:
                stands = place.head("race/one")
                before = stands.sequence if stands else 0
                try:
                    won.append(place.move("race/one", before=before, sequence=before + 1, value="v").sequence)
                    break
                except HeadMoved:
                    continue

    threads = [threading.Thread(target=move) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(30)
    assert sorted(won) == list(range(1, 25))
    assert [head.sequence for head in place.since("race/one", 0)] == list(range(1, 25))


def chain_of(count: int) -> list[bytes]:
    """Lines that name each other."""
    lines: list[bytes] = []
    for number in range(count):
        lines.append(canonical_json({"before": sha256_of(lines[-1]) if lines else "0" * 64, "n": number}))
    return lines


def whole() -> tuple[list[bytes], dict[str, bytes]]:
    raise AssertionError("not asked here")


def test_a_copy_of_a_chain_asks_for_what_it_lacks_alone(place: Place, tmp_path: Path) -> None:
    lines = chain_of(9)
    digests = [sha256_of(line) for line in lines]
    here = SharedChain(place, "evidence/x", "evidence", tmp_path / "a")
    for start in (0, 3, 4):
        stop = {0: 3, 3: 4, 4: 9}[start]
        here.append(digests[:start], lines[start:stop], {f"f{start}.json": f"file {start}".encode()}, whole=whole)
    with pytest.raises(HeadMoved):
        here.append(digests[:3], lines[3:4], {}, whole=whole)
    there = SharedChain(place, "evidence/x", "evidence", tmp_path / "b")
    for have in range(10):
        assert [line for batch in there.news(digests[:have]) for line in batch.lines] == lines[have:], have
    assert sorted(path.name for path in (tmp_path / "b").iterdir()) == ["f0.json", "f3.json", "f4.json"]
    for other in ([*digests[:2], "0" * 64], [*digests, "0" * 64], ["0" * 64]):
        with pytest.raises(PlaceDamaged, match="not the beginning"):
            there.news(other)


def test_an_append_that_was_interrupted_is_not_seen_and_goes_through_again(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line, files = chain_of(1)[0], {"bundle.json": b"{}"}
    here = SharedChain(place, "evidence/x", "evidence", tmp_path / "a")
    with monkeypatch.context() as patch:
        patch.setattr(type(place.heads), "move", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            here.append([], [line], files, whole=whole)
    assert place.blobs.keys("evidence/")
    assert SharedChain(place, "evidence/x", "evidence", tmp_path / "b").news([]) == ()
    here.append([], [line], files, whole=whole)
    (batch,) = SharedChain(place, "evidence/x", "evidence", tmp_path / "b").news([])
    assert batch.lines == (line,)
    assert (tmp_path / "b" / "bundle.json").read_bytes() == b"{}"


@pytest.mark.parametrize("name", ["../up.json", "/etc/passwd", ".hidden", "a/../b", "a/.b", "records.jsonl"])
def test_a_place_puts_no_file_outside_the_folder(place: Place, tmp_path: Path, name: str) -> None:
    line = chain_of(1)[0]
    sha256 = place.put("evidence", b"x")
    batch = canonical_json({"format": "BATCH@1", "lines": [line.decode()], "files": {name: sha256}})
    value = f"{sha256_of(line)} {place.put('evidence', batch)}"
    place.move("evidence/x", before=0, sequence=1, value=value)
    with pytest.raises(PlaceDamaged, match="does not read"):
        SharedChain(place, "evidence/x", "evidence", tmp_path / "a" / "b").news([])
    assert not (tmp_path / "a").exists()


# what the previous release asks of the tables: kept as it was, so that what comes later is seen to still answer it
GOLDEN_1 = {
    "facts": "SELECT version, usable_by FROM places.facts",
    "newest": "SELECT DISTINCT ON (name) name, before, sequence, value FROM places.moves "
    "WHERE name = 'a' OR (name > 'a' || '/' AND name < 'a' || '0') ORDER BY name, sequence DESC",
    "since": "SELECT name, before, sequence, value FROM places.moves WHERE name = 'a/b' AND sequence > 0 "
    "ORDER BY sequence",
    "move": "INSERT INTO places.moves (name, before, sequence, value, token) SELECT 'a/b', 1, 2, 'second', 't2' "
    "WHERE 1 = (SELECT coalesce(max(sequence), 0) FROM places.moves WHERE name = 'a/b')",
}


def test_the_release_before_reads_and_writes_the_tables_of_this_one(postgres: PostgresServer, s3: S3Server) -> None:
    url = postgres.url("forward")
    migrate(url, to="0001")
    with postgres.connection("forward") as before:
        assert before.execute(GOLDEN_1["facts"]).fetchone() == (1, 1)
        before.execute("INSERT INTO places.moves VALUES ('a/b', 1, 0, 'first', 't1')")
    place = PlaceSettings.read({"SAPPHIRE_PLACES_DATABASE": url, **s3.place_settings("forward")}).open()
    assert [head.value for head in place.newest("a")] == ["first"]  # brought forward when it was first asked
    with postgres.connection("forward") as before:
        assert before.execute(GOLDEN_1["facts"]).fetchone() == (KNOWN, 1)
        assert before.execute(GOLDEN_1["move"]).rowcount == 1
        assert before.execute(GOLDEN_1["newest"]).fetchall() == [("a/b", 1, 2, "second")]
        assert len(before.execute(GOLDEN_1["since"]).fetchall()) == 2
    assert [head.value for head in place.since("a/b", 0)] == ["first", "second"]


def test_tables_of_a_later_release_are_used_where_they_say_so_and_refused_where_not(
    postgres: PostgresServer, s3: S3Server
) -> None:
    environment = {**postgres.place_settings("later"), **s3.place_settings("later")}
    PlaceSettings.read(environment).open().move("a/b", before=0, sequence=1, value="v")
    with postgres.connection("later") as later:
        later.execute("ALTER TABLE places.moves ADD COLUMN colour text")
        later.execute("UPDATE places.facts SET version = 9, usable_by = 1")
        assert [head.value for head in PlaceSettings.read(environment).open().newest("a")] == ["v"]
        later.execute("UPDATE places.facts SET usable_by = 9")
    with pytest.raises(Refused, match="of a later release") as refused:
        PlaceSettings.read(environment).open().newest("a")
    assert f"version {KNOWN}" in refused.value.expected
    assert "version 9" in refused.value.got


def test_many_that_come_first_at_once_make_the_tables_once(postgres: PostgresServer, s3: S3Server) -> None:
    environment = {**postgres.place_settings("at-once"), **s3.place_settings("at-once")}
    places = [PlaceSettings.read(environment).open() for _ in range(4)]
    found: list[object] = []

    def ask(place: Place) -> None:
        found.append(place.newest("a"))

    threads = [threading.Thread(target=ask, args=(each,)) for each in places]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    assert found == [()] * 4


def refusal(environment: dict[str, str], act: Callable[[Place], object]) -> SapphireError:
    with pytest.raises(SapphireError) as refused:
        act(PlaceSettings.read(environment).open())
    text = f"{refused.value} {refused.value!r}"
    assert not any(secret in text for secret in SECRETS), text
    assert refused.value.expected
    assert refused.value.got
    assert refused.value.next
    return refused.value


def put(place: Place) -> str:
    return place.put("ledger", b"some bytes")


def head(place: Place) -> object:
    return place.head("a/b")


def test_a_database_that_does_not_answer_or_refuses_is_told(settings: Callable[[str], dict[str, str]]) -> None:
    environment = settings("s3")
    url = environment["SAPPHIRE_PLACES_DATABASE"]
    (port,) = free_ports(1)
    address, _, _ = url.rpartition("/")
    away = url.replace(address.rpartition(":")[2], str(port))
    assert isinstance(refusal(environment | {"SAPPHIRE_PLACES_DATABASE": away}, head), PlaceUnreachable)
    wrong = environment | {"SAPPHIRE_PLACES_DATABASE_PASSWORD": "another-password"}
    assert isinstance(refusal(wrong, head), PlaceDenied)
    unknown = environment | {"SAPPHIRE_PLACES_DATABASE": f"{address}/nobody-made-this"}
    assert isinstance(refusal(unknown, head), ConfigError)
    with psycopg.connect(url, autocommit=True) as owner:
        PlaceSettings.read(environment).open().move("a/b", before=0, sequence=1, value="v")
        owner.execute("CREATE ROLE stranger LOGIN PASSWORD 'another-password'")
        host = url.partition("@")[2]
        other = environment | {"SAPPHIRE_PLACES_DATABASE": f"postgresql://stranger:another-password@{host}"}
        assert isinstance(refusal(other, head), PlaceDenied)
        owner.execute("DROP ROLE stranger")


def test_a_password_that_ends_while_it_is_used_loses_nothing(settings: Callable[[str], dict[str, str]]) -> None:
    facts, role = settings("s3"), f"ends{os.getpid()}"
    url = facts["SAPPHIRE_PLACES_DATABASE"]
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute(f"CREATE ROLE {role} LOGIN SUPERUSER PASSWORD 'another-password'")
        host = url.partition("@")[2]
        own = facts | {"SAPPHIRE_PLACES_DATABASE": f"postgresql://{role}:another-password@{host}"}
        place = PlaceSettings.read(own).open()
        place.move("a/b", before=0, sequence=1, value="v")
        owner.execute(f"ALTER ROLE {role} VALID UNTIL '2020-01-01'")
        owner.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", [role])
        for _ in range(2):
            with pytest.raises(PlaceDenied) as refused:
                place.move("a/b", before=1, sequence=2, value="w")
            assert "another-password" not in f"{refused.value} {refused.value!r}"
        owner.execute(f"ALTER ROLE {role} VALID UNTIL 'infinity'")
        assert place.move("a/b", before=1, sequence=2, value="w").sequence == 2
        assert [head.value for head in place.since("a/b", 0)] == ["v", "w"]
        place.heads.close()  # type: ignore[attr-defined]
        owner.execute(f"DROP OWNED BY {role}")
        owner.execute(f"DROP ROLE {role}")


def test_a_bucket_that_does_not_answer_or_refuses_is_told(settings: Callable[[str], dict[str, str]]) -> None:
    environment, (port,) = settings("s3"), free_ports(1)
    away = environment | {"SAPPHIRE_PLACES_BUCKET_URL": f"http://127.0.0.1:{port}"}
    assert isinstance(refusal(away, put), PlaceUnreachable)
    wrong = environment | {"SAPPHIRE_PLACES_BUCKET_SECRET": "another-password"}
    assert isinstance(refusal(wrong, put), PlaceDenied)
    reads = environment | {"SAPPHIRE_PLACES_BUCKET_KEY": READER_KEY, "SAPPHIRE_PLACES_BUCKET_SECRET": READER_SECRET}
    assert isinstance(refusal(reads, put), PlaceDenied)
    absent = environment | {"SAPPHIRE_PLACES_BUCKET": "s3://nobody-made-this"}
    assert isinstance(refusal(absent, lambda place: place.get("ledger", "0" * 64)), ConfigError)


def test_google_that_does_not_answer_or_has_no_such_bucket_is_told(settings: Callable[[str], dict[str, str]]) -> None:
    environment, (port,) = settings("gcs"), free_ports(1)
    away = environment | {"SAPPHIRE_PLACES_BUCKET_URL": f"http://127.0.0.1:{port}"}
    assert isinstance(refusal(away, put), PlaceUnreachable)
    absent = environment | {"SAPPHIRE_PLACES_BUCKET": "gs://nobody-made-this"}
    assert isinstance(refusal(absent, put), ConfigError)
    assert isinstance(refusal(absent, lambda place: place.get("ledger", "0" * 64)), ConfigError)


class Says(BaseHTTPRequestHandler):
    """Answers everything with one status and one of S3's codes."""

    status, code = 507, "InsufficientStorage"

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = f"<Error><Code>{self.code}</Code><Message>told</Message></Error>".encode()
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def says() -> Iterator[HTTPServer]:
    server = HTTPServer(("127.0.0.1", 0), Says)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("kind", "status", "code", "error"),
    [
        ("s3", 507, "InsufficientStorage", PlaceFull),
        ("s3", 403, "QuotaExceeded", PlaceFull),
        ("s3", 401, "Unauthorized", PlaceDenied),
        ("s3", 400, "ExpiredToken", PlaceDenied),
        ("gs", 507, "InsufficientStorage", PlaceFull),
        ("gs", 403, "QuotaExceeded", PlaceFull),
        ("gs", 401, "Unauthorized", PlaceDenied),
    ],
)
def test_what_a_bucket_answers_is_an_error_of_its_kind(
    settings: Callable[[str], dict[str, str]],
    says: HTTPServer,
    kind: str,
    status: int,
    code: str,
    error: type[PlaceError],
) -> None:
    Says.status, Says.code = status, code
    environment = settings("s3") | {"SAPPHIRE_PLACES_BUCKET": f"{kind}://full"}
    environment["SAPPHIRE_PLACES_BUCKET_URL"] = f"http://127.0.0.1:{says.server_port}"
    assert isinstance(refusal(environment, put), error)


def test_a_bucket_without_room_keeps_what_it_has_and_nothing_is_half_done(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    with s3_server(tmp_path / "small", volumes=8, volume_mb=1) as small:
        place = PlaceSettings.read({**postgres.place_settings("full"), **small.place_settings()}).open()
        lines, kept = chain_of(40), 0
        chain = SharedChain(place, "ledger/trials", "ledger", tmp_path / "here")
        digests = [sha256_of(line) for line in lines]

        def fill() -> None:
            nonlocal kept
            for line in lines:
                chain.append(digests[:kept], [line], {f"f{kept}.bin": os.urandom(1_000_000)}, whole=whole)
                kept += 1

        with pytest.raises(PlaceError) as refused:
            fill()
        assert refused.value.next
        there = SharedChain(place, "ledger/trials", "ledger", tmp_path / "there")
        assert [line for batch in there.news([]) for line in batch.lines] == lines[:kept]
        assert len(list((tmp_path / "there").iterdir())) == kept


def test_a_place_that_was_away_is_asked_again_and_has_what_it_had(tmp_path: Path, gcs: GcsServer) -> None:
    with postgres_server(tmp_path / "pg") as server:
        place = PlaceSettings.read({**server.place_settings(), **gcs.place_settings("away")}).open()
        sha256 = put(place)
        place.move("a/b", before=0, sequence=1, value=sha256)
        server.stop()
        for _ in range(2):
            with pytest.raises(PlaceUnreachable):
                place.head("a/b")
        with pytest.raises(PlaceUnreachable):
            place.move("a/b", before=1, sequence=2, value="lost")
        server.start()
        stands = place.head("a/b")
        assert stands is not None
        assert stands.value == sha256
        server.stop()
        server.start()  # its connection is broken and nobody has noticed: asked once more
        assert place.move("a/b", before=1, sequence=2, value="v").sequence == 2


def test_a_folder_that_is_full_closed_or_away_is_told(tmp_path: Path) -> None:
    away = {"SAPPHIRE_PLACES_FOLDER": str(tmp_path / "not-mounted")}
    assert isinstance(refusal(away, head), PlaceUnreachable)
    (tmp_path / "place").mkdir()
    environment = {"SAPPHIRE_PLACES_FOLDER": str(tmp_path / "place")}
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4, before[1]))
    try:
        assert isinstance(refusal(environment, put), PlaceFull)
        assert isinstance(refusal(environment, lambda it: it.move("a/b", before=0, sequence=1, value="v")), PlaceFull)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    place = PlaceSettings.read(environment).open()
    assert place.blobs.keys("ledger/") == ()
    assert place.head("a/b") is None
    place.move("a/b", before=0, sequence=1, value=put(place))


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"FOLDER": "/x", "DATABASE": "postgresql://h/d"}, "a folder, or a database"),
        ({"DATABASE": "postgresql://h/d"}, "database alone"),
        ({"BUCKET": "s3://bucket"}, "bucket alone"),
        ({"DATABASE": "postgresql://h/d", "BUCKET": "ftp://bucket"}, "ftp://bucket"),
        ({"DATABASE": "postgresql://h/d", "BUCKET": "s3://B"}, "s3://B"),
        ({"DATABASE": "no dsn at all =", "BUCKET": "s3://bucket"}, "postgresql://"),
        ({"DATABASE": "postgresql://u:hunter2@hunter2@h/d", "BUCKET": "s3://bucket"}, "not shown"),
        ({"DATABASE": "postgresql://u:hunter2/hunter2@h/d", "BUCKET": "s3://bucket"}, "not shown"),
        ({"DATABASE": "postgresql://h/d", "BUCKET": "s3://bucket", "BUCKET_URL": "minio:9000"}, "bucket_url"),
        ({"DATABASE": "postgresql://h/d", "BUCKET": "s3://bucket", "BUCKET_KEY": "k"}, "a key and its secret"),
        ({"BUKET": "s3://bucket"}, "SAPPHIRE_PLACES_BUCKET?"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_refused(variables: dict[str, str], says: str) -> None:
    environment = {f"SAPPHIRE_PLACES_{key}": value for key, value in variables.items()}
    with pytest.raises(ConfigError) as refused:
        PlaceSettings.read(environment).open()
    assert says.replace("a key and its secret", "a bucket's key and its secret") in str(refused.value)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    "line",
    [
        'database = "postgresql://desk:hunter2hunter2@db/x"',
        'database = "host=db password=hunter2hunter2"',
        'bucket_url = "https://key:hunter2hunter2@minio:9000"',
        'database_password = "hunter2hunter2"',
    ],
)
def test_no_password_may_stand_in_the_file_and_none_is_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    (tmp_path / "sapphire.toml").write_text(f"[places]\n{line}\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as refused:
        PlaceSettings.read({})
    if "_password" not in line:
        assert "hunter2" not in str(refused.value)


def test_the_file_names_a_place_and_the_environment_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sapphire.toml").write_text(
        '[places]\ndatabase = "postgresql://desk@db/x"\nbucket = "s3://state/desk"\ncredentials = "keys.json"\n'
    )
    monkeypatch.chdir(tmp_path)
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps({"database_password": "hunter2", "bucket_key": "k", "bucket_secret": "s"}))
    keys.chmod(0o644)
    with pytest.raises(Refused, match="others can read"):
        PlaceSettings.read({})
    keys.chmod(0o600)
    settings = PlaceSettings.read({"SAPPHIRE_PLACES_BUCKET_SECRET": "over"})
    assert (settings.database_password, settings.bucket_key, settings.bucket_secret) == ("hunter2", "k", "over")
    assert "hunter2" not in repr(settings)
    keys.write_text('{"passwort": "hunter2"}')
    with pytest.raises(ConfigError) as refused:
        PlaceSettings.read({})
    assert "hunter2" not in str(refused.value)
    keys.write_text("{}")
    (tmp_path / "shared").mkdir()
    settings = PlaceSettings.read({"SAPPHIRE_PLACES_FOLDER": "shared"})
    assert settings.folder == tmp_path / "shared"
    assert settings.database is None
    assert shared_place({"SAPPHIRE_PLACES_ALONE": "yes", "SAPPHIRE_PLACES_FOLDER": "shared"}) is None
    (tmp_path / "sapphire.toml").write_text("")
    assert shared_place({}) is None


def test_nothing_of_a_place_is_loaded_where_there_is_none() -> None:
    code = "import sapphire.research.ledger.book, sys; print({'psycopg', 'obstore', 'google.cloud'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"

"""What is generated from the messages is current, and complete."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from sapphire.domain import generate
from sapphire.domain.messages import MESSAGE_TYPES


def test_every_generated_file_is_current() -> None:
    assert generate.stale_files() == []


def test_the_check_names_what_is_not_current_and_writing_mends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    schemas, rust = tmp_path / "domain" / "schemas", tmp_path / "messages.rs"
    shutil.copytree(generate._SCHEMAS, schemas)
    shutil.copy(generate._RUST, rust)
    monkeypatch.setattr(generate, "_SCHEMAS", schemas)
    monkeypatch.setattr(generate, "_RUST", rust)
    monkeypatch.setattr(generate, "_PACKAGE", tmp_path / "sapphire")
    assert generate.main(["--check"]) == 0
    rust.write_text(rust.read_text(encoding="utf-8").replace("i64", "u64"), encoding="utf-8")
    (schemas / "VIEW@1.json").unlink()
    (schemas / "GOSSIP@1.json").write_text("{}", encoding="utf-8")
    capsys.readouterr()
    assert generate.main(["--check"]) == 1
    refused = capsys.readouterr().err
    assert "generated files are not current" in refused
    for name in ("messages.rs", "VIEW@1.json", "GOSSIP@1.json"):
        assert name in refused
    assert "HEARTBEAT" not in refused
    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 0
    assert not (schemas / "GOSSIP@1.json").exists()


@pytest.mark.parametrize("schema_id", MESSAGE_TYPES)
def test_a_schema_is_closed_and_demands_every_field(schema_id: str) -> None:
    schema = json.loads(generate.json_schema(schema_id))
    for part in (schema, *(each for each in schema["$defs"].values() if each["type"] == "object")):
        assert part["additionalProperties"] is False
        assert sorted(part["required"]) == sorted(part["properties"])
    assert schema["$defs"]["Envelope"]["properties"]["schema_id"]["const"] == schema_id


def test_rust_has_every_message_with_every_field() -> None:
    rust = generate.generated_files()[generate._RUST]
    for schema_id, message in MESSAGE_TYPES.items():
        name = message.__name__.removesuffix("Message")
        body = rust.split(f"pub struct {name} {{")[1].split("\n}\n")[0]
        fields = [line.split()[1].rstrip(":") for line in body.splitlines() if line.startswith("    pub ")]
        assert fields == sorted(message.model_fields), schema_id

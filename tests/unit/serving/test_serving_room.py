"""The room as a whole: light to enter, and every name is there."""

import subprocess
import sys

HEAVY = ("bentoml", "mlflow", "numpy", "pandas", "torch", "valkey", "httpx", "starlette")


def loaded(code):
    code = f"{code}; import sys; print([name for name in {HEAVY} if name in sys.modules])"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout.strip()


def test_the_room_and_its_verb_load_nothing_heavy():
    assert loaded("import sapphire.serving, sapphire.serving.commands") == "[]"


def test_every_exported_name_is_there():
    assert "bentoml" in loaded("import sapphire.serving as room; [getattr(room, name) for name in room.__all__]")

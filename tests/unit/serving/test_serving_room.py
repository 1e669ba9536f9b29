"""The room as a whole: light to enter, and every name is there."""

HEAVY = {"bentoml", "mlflow", "numpy", "pandas", "torch", "valkey", "httpx", "starlette"}


def test_the_room_and_its_verb_load_nothing_heavy(fresh_interpreter):
    assert not HEAVY & fresh_interpreter.modules_after("import sapphire.serving, sapphire.serving.commands")


def test_every_exported_name_is_there(fresh_interpreter):
    code = "import sapphire.serving as room; [getattr(room, name) for name in room.__all__]"
    assert "bentoml" in fresh_interpreter.modules_after(code)

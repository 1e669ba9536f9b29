"""The room keeps its own promises: names are there, and nothing heavy is loaded before it is needed."""

import pytest

import sapphire.agents as room


def test_every_name_is_there_and_is_not_a_module():
    for name in room.__all__:
        assert not hasattr(getattr(room, name), "__path__")
        assert getattr(room, name).__class__.__name__ != "module", name
    assert set(room.__all__) <= set(dir(room))
    with pytest.raises(AttributeError, match="Agents"):
        room.Agents  # noqa: B018


@pytest.mark.parametrize(
    "code",
    [
        "import sapphire.agents.commands",
        "from sapphire.agents import Agent, MovingAverageCross, resolve; MovingAverageCross(); resolve('cash')",
        "from sapphire.agents import LagLlama; LagLlama()",
        "from sapphire.agents.catalogue import list_agents; [entry.as_dict() for entry in list_agents()[0]]",
    ],
)
def test_neither_pandas_nor_torch_is_loaded_before_an_agent_speaks(fresh_interpreter, code):
    assert not {"pandas", "torch", "scipy", "IPython"} & fresh_interpreter.modules_after(code)


def test_no_agent_imports_a_higher_room(fresh_interpreter):
    higher = ("coordination", "portfolio", "risk", "execution", "registry", "serving", "research", "monitoring", "lab")
    code = "import sapphire.agents as room\nfor name in room.__all__: getattr(room, name)"
    loaded = fresh_interpreter.modules_after(code)
    assert not [name for name in loaded if name.startswith(tuple(f"sapphire.{room}" for room in higher))]

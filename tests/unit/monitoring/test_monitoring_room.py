"""The room says what it is, and starts quickly."""

import sapphire.monitoring


def test_every_public_name_is_there():
    for name in sapphire.monitoring.__all__:
        assert getattr(sapphire.monitoring, name).__doc__


def test_the_room_says_what_flows_and_what_it_never_does():
    for word in ("In:", "Out:", "Never:"):
        assert word in sapphire.monitoring.__doc__


def test_its_verbs_load_nothing_heavy(fresh_interpreter):
    heavy = {"pandas", "plotly", "torch", "papermill", "mlflow", "nbconvert", "rich"}
    assert not heavy & fresh_interpreter.modules_after("import sapphire.monitoring.commands")

"""The room says what it is, and starts quickly."""

import subprocess
import sys

import sapphire.monitoring


def test_every_public_name_is_there():
    for name in sapphire.monitoring.__all__:
        assert getattr(sapphire.monitoring, name).__doc__


def test_the_room_says_what_flows_and_what_it_never_does():
    for word in ("In:", "Out:", "Never:"):
        assert word in sapphire.monitoring.__doc__


def test_its_verbs_load_nothing_heavy():
    heavy = ("pandas", "plotly", "torch", "papermill", "mlflow", "nbconvert", "rich")
    probe = f"import sys, sapphire.monitoring.commands; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

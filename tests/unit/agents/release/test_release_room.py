"""The room as a whole: a release is loaded without a server or a registry."""

import sapphire.agents.release


def test_the_agents_room_exports_the_loader():
    assert sapphire.agents.load_release is sapphire.agents.release.load_release
    assert sapphire.agents.freeze is sapphire.agents.release.freeze

"""Settings of the whole suite."""

from hypothesis import settings

# The machines that run this are shared: a deadline would test their other work, not ours.
settings.register_profile("house", deadline=None)
settings.load_profile("house")

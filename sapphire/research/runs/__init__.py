"""Runs: how a study asks an agent: by splits, walks, screens, and replays by the compiled engine."""

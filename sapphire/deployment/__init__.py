"""Deployment: what turns the repository into something that a cluster runs.

In:    the repository: its source, its locks, `k8s/` and `bentos/`.
Out:   images, what is in them, and how large they are.
Never: trades, or is imported by a room that does.
"""

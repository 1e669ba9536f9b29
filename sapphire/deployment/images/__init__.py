"""Images: each kind of process as a container, out of `k8s/images/` by podman.

`make images` builds all of them: `python -m sapphire.deployment.images build`.
"""

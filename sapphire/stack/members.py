"""Members: the agents of a pool, each behind a bento of its own in a stack."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sapphire.domain.releases import Manifest
    from sapphire.stack.plan import Plan

__all__ = ["member_part", "members_served"]


def members_served(plan: Plan, manifest: Manifest) -> tuple[str, ...]:
    """Names of the members that a stack serves by themselves: those of a pool, unless a server of it runs already."""
    return () if plan.bento_url is not None else tuple(manifest.members)


def member_part(name: str) -> str:
    """What the part is called that serves a member."""
    return f"bento-{name}"

"""Heads as moves: who moves from where somebody else moved already meets the unique pair of name and before."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "moves",
        sa.Column("name", sa.Text(collation="C"), primary_key=True),
        sa.Column("sequence", sa.BigInteger, primary_key=True),
        sa.Column("before", sa.BigInteger, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("token", sa.Text, nullable=False),
        sa.UniqueConstraint("name", "before"),
        sa.CheckConstraint("before >= 0 AND before < sequence"),
        schema="places",
    )
    facts = op.create_table(
        "facts",
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("usable_by", sa.Integer, nullable=False),
        schema="places",
    )
    op.bulk_insert(facts, [{"version": 1, "usable_by": 1}])

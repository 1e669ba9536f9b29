"""When a head was moved, and as which user of the database: for whoever looks into a place that surprises."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the columns; the database fills them, so that a release that does not know them writes as before."""
    op.add_column(
        "moves", sa.Column("moved_at", sa.DateTime(timezone=True), server_default=sa.func.now()), schema="places"
    )
    op.add_column("moves", sa.Column("moved_by", sa.Text, server_default=sa.text("current_user")), schema="places")
    op.execute("UPDATE places.facts SET version = 2")

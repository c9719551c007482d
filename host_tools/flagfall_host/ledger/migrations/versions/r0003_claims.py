"""Rows that a program locks while it works for a terminal."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "claims",
        sa.Column("terminal_id", sa.String(length=8), nullable=False),
        sa.PrimaryKeyConstraint("terminal_id"),
    )

"""What a tap campaign paid of a trip's fare."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Trips booked before had no campaign."""
    for name in ("discount", "campaign"):
        op.add_column(
            "trips", sa.Column(name, sa.BigInteger(), nullable=False, server_default="0")
        )


def downgrade() -> None:
    """Drop what was added."""
    for name in ("discount", "campaign"):
        op.drop_column("trips", name)

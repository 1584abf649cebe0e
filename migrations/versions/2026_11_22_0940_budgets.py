"""The budget that a session was created with, in cents."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "202611220940"
down_revision = "202611220930"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sessions", sa.Column("budget", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("sessions") as table:
        table.drop_column("budget")

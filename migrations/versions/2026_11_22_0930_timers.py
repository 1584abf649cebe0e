"""When sessions have to be woken although nobody sends anything."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "202611220930"
down_revision = "202611220818"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "timers",
        sa.Column("session_id", sa.String(length=64), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("session_id", name=op.f("pk_timers")),
    )
    op.create_index(op.f("ix_timers_due_at"), "timers", ["due_at"])


def downgrade() -> None:
    op.drop_index(op.f("ix_timers_due_at"), table_name="timers")
    op.drop_table("timers")

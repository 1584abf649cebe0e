"""What is left of the limits on requests."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "202611221690"
down_revision = "202611221660"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "request_rates",
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("full_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("subject", "kind", name=op.f("pk_request_rates")),
    )


def downgrade() -> None:
    op.drop_table("request_rates")

"""Skills, their versions and contents."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "202611221310"
down_revision = "202611221300"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "skills",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("workspace_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("latest_version_id", sa.String(length=64), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_skills")),
    )
    op.create_index(
        op.f("ix_skills_workspace_id_created_at_id"), "skills", ["workspace_id", "created_at", "id"]
    )
    op.create_table(
        "skill_versions",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("skill_id", sa.String(length=64), nullable=False),
        sa.Column("workspace_id", sa.String(length=64), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("directory", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["skill_id"], ["skills.id"], name=op.f("fk_skill_versions_skill_id_skills")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_skill_versions")),
        sa.UniqueConstraint("skill_id", "number", name=op.f("uq_skill_versions_skill_id_number")),
    )
    op.create_index(
        op.f("ix_skill_versions_skill_id_created_at_id"),
        "skill_versions",
        ["skill_id", "created_at", "id"],
    )
    op.create_table(
        "skill_contents",
        sa.Column("version_id", sa.String(length=64), nullable=False),
        sa.Column("archive", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["version_id"],
            ["skill_versions.id"],
            name=op.f("fk_skill_contents_version_id_skill_versions"),
        ),
        sa.PrimaryKeyConstraint("version_id", name=op.f("pk_skill_contents")),
    )


def downgrade() -> None:
    op.drop_table("skill_contents")
    op.drop_table("skill_versions")
    op.drop_table("skills")

"""API tokens, and the browsers that have signed in with one."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "tuner_token",
        sa.Column("id", KEY, nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("prefix", sa.String(length=16), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("scope", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_tuner_token"),
        sa.UniqueConstraint("prefix", name="uq_tuner_token_prefix"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "uq_tuner_token_name_live",
        "tuner_token",
        ["name"],
        unique=True,
        sqlite_where=sa.text("revoked_at IS NULL"),
        postgresql_where=sa.text("revoked_at IS NULL"),
    )
    op.create_table(
        "tuner_session",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("token_id", KEY, nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["token_id"], ["tuner_token.id"], name="fk_tuner_session_token_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("digest", name="pk_tuner_session"),
    )
    op.create_index("ix_tuner_session_token_id", "tuner_session", ["token_id"], unique=False)
    op.create_index("ix_tuner_session_expires_at", "tuner_session", ["expires_at"], unique=False)


def downgrade() -> None:
    op.drop_table("tuner_session")
    op.drop_table("tuner_token")

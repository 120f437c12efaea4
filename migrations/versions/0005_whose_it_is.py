"""Which token made a study, and which holds a running trial: how much each has is limited."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("tuner_study", sa.Column("token_id", KEY, nullable=True))
    op.create_index("ix_tuner_study_token_id", "tuner_study", ["token_id"], unique=False)
    op.add_column("tuner_trial", sa.Column("token_id", KEY, nullable=True))
    op.create_index(
        "ix_tuner_trial_token_id",
        "tuner_trial",
        ["token_id"],
        unique=False,
        sqlite_where=sa.text("state = 'running' AND token_id IS NOT NULL"),
        postgresql_where=sa.text("state = 'running' AND token_id IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_tuner_trial_token_id", table_name="tuner_trial")
    op.drop_column("tuner_trial", "token_id")
    op.drop_index("ix_tuner_study_token_id", table_name="tuner_study")
    op.drop_column("tuner_study", "token_id")

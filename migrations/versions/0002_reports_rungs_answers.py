"""What training clients need: progress of reports, rungs of pruners, answers by idempotency key, numbered events."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("tuner_study", sa.Column("sequence", sa.BigInteger(), server_default=sa.text("0"), nullable=False))
    op.add_column(
        "tuner_study", sa.Column("transaction_number", sa.BigInteger(), server_default=sa.text("0"), nullable=False)
    )
    op.create_index(
        "ix_tuner_study_transaction_number",
        "tuner_study",
        ["transaction_number"],
        unique=False,
        postgresql_using="brin",
    )
    op.add_column("tuner_trial", sa.Column("last_step", sa.BigInteger(), nullable=True))
    op.add_column("tuner_trial", sa.Column("best_value", sa.Double(), nullable=True))
    op.add_column("tuner_trial", sa.Column("best_step", sa.BigInteger(), nullable=True))
    op.add_column("tuner_trial", sa.Column("stop_reason", sa.Text(), nullable=True))
    op.add_column("tuner_trial", sa.Column("sequence", sa.BigInteger(), server_default=sa.text("0"), nullable=False))
    op.create_index("ix_tuner_trial_study_id_sequence", "tuner_trial", ["study_id", "sequence"], unique=False)
    op.create_table(
        "tuner_rung",
        sa.Column("study_id", KEY, nullable=False),
        sa.Column("bracket", sa.Integer(), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("trial_id", KEY, nullable=False),
        sa.Column("value", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["study_id"], ["tuner_study.id"], name="fk_tuner_rung_study_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["trial_id"], ["tuner_trial.id"], name="fk_tuner_rung_trial_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("study_id", "bracket", "step", "trial_id", name="pk_tuner_rung"),
    )
    op.create_index("ix_tuner_rung_trial_id", "tuner_rung", ["trial_id"], unique=False)
    op.create_table(
        "tuner_answer",
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("request", sa.String(length=64), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_tuner_answer"),
    )
    op.create_index("ix_tuner_answer_created_at", "tuner_answer", ["created_at"], unique=False)
    op.create_table(
        "tuner_deleted_study",
        sa.Column("id", KEY, autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("transaction_number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_tuner_deleted_study"),
    )
    op.create_index("ix_tuner_deleted_study_deleted_at", "tuner_deleted_study", ["deleted_at"], unique=False)
    # The best of a study, in an order that does not have to be sorted where many are equal.
    op.drop_index("ix_tuner_trial_study_id_state_objective_value", table_name="tuner_trial")
    op.create_index(
        "ix_tuner_trial_study_id_state_objective_value_number",
        "tuner_trial",
        ["study_id", "state", "objective_value", "number"],
        unique=False,
    )
    op.create_index(
        "ix_tuner_deleted_study_transaction_number", "tuner_deleted_study", ["transaction_number"], unique=False
    )


def downgrade() -> None:
    op.drop_index("ix_tuner_trial_study_id_state_objective_value_number", table_name="tuner_trial")
    op.create_index(
        "ix_tuner_trial_study_id_state_objective_value",
        "tuner_trial",
        ["study_id", "state", "objective_value"],
        unique=False,
    )
    op.drop_table("tuner_deleted_study")
    op.drop_table("tuner_answer")
    op.drop_table("tuner_rung")
    op.drop_index("ix_tuner_trial_study_id_sequence", table_name="tuner_trial")
    for column in ("sequence", "stop_reason", "best_step", "best_value", "last_step"):
        op.drop_column("tuner_trial", column)
    op.drop_index("ix_tuner_study_transaction_number", table_name="tuner_study")
    op.drop_column("tuner_study", "transaction_number")
    op.drop_column("tuner_study", "sequence")

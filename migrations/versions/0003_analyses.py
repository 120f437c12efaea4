"""What the analyses need: checkpoints to continue from, measurements that are no trials, verdicts' evidence, holds."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("tuner_trial", sa.Column("evidence", sa.Text(), nullable=True))
    op.add_column("tuner_trial", sa.Column("advice", sa.Text(), nullable=True))
    op.add_column("tuner_trial", sa.Column("descent", sa.String(length=32), nullable=True))
    op.create_index(
        "ix_tuner_trial_study_id_descent_steps_run",
        "tuner_trial",
        ["study_id", "descent", "steps_run"],
        unique=False,
        sqlite_where=sa.text("descent IS NOT NULL"),
        postgresql_where=sa.text("descent IS NOT NULL"),
    )
    op.add_column("tuner_study", sa.Column("holder", sa.Text(), nullable=True))
    op.add_column("tuner_study", sa.Column("held_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column("tuner_study", sa.Column("lost_holds", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.create_table(
        "tuner_checkpoint",
        sa.Column("trial_id", KEY, nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["trial_id"], ["tuner_trial.id"], name="fk_tuner_checkpoint_trial_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("trial_id", name="pk_tuner_checkpoint"),
    )
    op.create_table(
        "tuner_measurement",
        sa.Column("id", KEY, nullable=False),
        sa.Column("study_id", KEY, nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("result", sa.Text(), nullable=False),
        sa.Column("gradient_evaluations", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["study_id"], ["tuner_study.id"], name="fk_tuner_measurement_study_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_tuner_measurement"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_tuner_measurement_study_id_kind_id", "tuner_measurement", ["study_id", "kind", "id"], unique=False
    )


def downgrade() -> None:
    op.drop_table("tuner_measurement")
    op.drop_table("tuner_checkpoint")
    for column in ("holder", "held_until", "lost_holds"):
        op.drop_column("tuner_study", column)
    op.drop_column("tuner_trial", "advice")
    op.drop_index("ix_tuner_trial_study_id_descent_steps_run", table_name="tuner_trial")
    op.drop_column("tuner_trial", "descent")
    op.drop_column("tuner_trial", "evidence")

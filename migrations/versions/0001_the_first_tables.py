"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "tuner_study",
        sa.Column("id", KEY, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("definition", sa.Text(), nullable=True),
        sa.Column("directions", sa.Text(), nullable=False),
        sa.Column("metrics", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("state_reason", sa.Text(), nullable=True),
        sa.Column("objective", sa.String(length=100), nullable=True),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("idle_seconds", sa.Double(), server_default=sa.text("0"), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_number", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("started_trials", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("failed_trials", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("spent_evaluations", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("reserved_evaluations", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("user_attrs", sa.Text(), nullable=False),
        sa.Column("system_attrs", sa.Text(), nullable=False),
        sa.CheckConstraint("state IN ('active', 'paused', 'stopped', 'completed')", name=op.f("ck_tuner_study_state")),
        sa.PrimaryKeyConstraint("id", name="pk_tuner_study"),
        sa.UniqueConstraint("name", name="uq_tuner_study_name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "tuner_worker",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("version", sa.String(length=32), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("stopped_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("study", sa.Text(), nullable=True),
        sa.Column("trials", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_tuner_worker"),
    )
    op.create_table(
        "tuner_trial",
        sa.Column("id", KEY, nullable=False),
        sa.Column("study_id", KEY, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("parameters", sa.Text(), nullable=False),
        sa.Column("distributions", sa.Text(), nullable=True),
        sa.Column("values", sa.Text(), nullable=True),
        sa.Column("objective_value", sa.Double(), nullable=True),
        sa.Column("steps_run", sa.BigInteger(), nullable=True),
        sa.Column("gradient_evaluations", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("reserved_evaluations", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("outcome", sa.String(length=32), nullable=True),
        sa.Column("verdict", sa.String(length=32), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("quarantined", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("excluded", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("attempt", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("lost_leases", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("worker", sa.Text(), nullable=True),
        sa.Column("lease_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_seconds", sa.Double(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("user_attrs", sa.Text(), nullable=False),
        sa.Column("system_attrs", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "state IN ('waiting', 'running', 'complete', 'failed', 'pruned')", name=op.f("ck_tuner_trial_state")
        ),
        sa.ForeignKeyConstraint(["study_id"], ["tuner_study.id"], name="fk_tuner_trial_study_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_tuner_trial"),
        sa.UniqueConstraint("study_id", "number", name="uq_tuner_trial_study_id_number"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_tuner_trial_state_lease_expires_at", "tuner_trial", ["state", "lease_expires_at"], unique=False)
    op.create_index(
        "ix_tuner_trial_study_id_state_objective_value",
        "tuner_trial",
        ["study_id", "state", "objective_value"],
        unique=False,
    )
    op.create_index(
        "ix_tuner_trial_study_id_state_number", "tuner_trial", ["study_id", "state", "number"], unique=False
    )

    op.create_table(
        "tuner_attempt",
        sa.Column("trial_id", KEY, nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("worker", sa.Text(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("end", sa.String(length=16), nullable=False),
        sa.CheckConstraint("\"end\" IN ('lost', 'released')", name=op.f("ck_tuner_attempt_end")),
        sa.ForeignKeyConstraint(["trial_id"], ["tuner_trial.id"], name="fk_tuner_attempt_trial_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("trial_id", "attempt", name="pk_tuner_attempt"),
    )
    op.create_table(
        "tuner_curve_block",
        sa.Column("trial_id", KEY, nullable=False),
        sa.Column("metric", sa.String(length=100), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("first_step", sa.BigInteger(), nullable=False),
        sa.Column("last_step", sa.BigInteger(), nullable=False),
        sa.Column("points", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["trial_id"], ["tuner_trial.id"], name="fk_tuner_curve_block_trial_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("trial_id", "metric", "attempt", "sequence", name="pk_tuner_curve_block"),
    )


def downgrade() -> None:
    op.drop_table("tuner_curve_block")
    op.drop_table("tuner_attempt")
    op.drop_table("tuner_trial")
    op.drop_table("tuner_worker")
    op.drop_table("tuner_study")

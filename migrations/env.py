"""How Alembic runs here: on the connection and in the transaction of the caller."""

from alembic import context

from tuner.storage.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=context.config.attributes["version_table"],
    # SQLite alters a table by copying it.
    render_as_batch=True,
    transactional_ddl=True,
)
context.run_migrations()

"""Run by Alembic: the connection, its transaction and its lock are the caller's."""

from alembic import context

from cloister.registry.models import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
)
context.run_migrations()

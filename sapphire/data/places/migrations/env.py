"""What alembic runs to bring a place's tables forward: on the connection that it is handed, in the schema `places`."""

from alembic import context

connection = context.config.attributes["connection"]
connection.exec_driver_sql("CREATE SCHEMA IF NOT EXISTS places")
context.configure(connection=connection, version_table="steps", version_table_schema="places")
with context.begin_transaction():
    context.run_migrations()

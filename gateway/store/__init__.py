"""What is kept: the port, the schema, and SQLite behind one group-committing writer."""

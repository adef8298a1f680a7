"""What is kept: the port, the schema, and operations over SQLite or PostgreSQL, behind group-committing writers."""

"""The database in PostgreSQL, which several nodes share: threads that group-commit, and threads that read."""

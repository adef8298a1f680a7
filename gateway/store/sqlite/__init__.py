"""The database in one SQLite file: a connection that reads, and one that group-commits."""

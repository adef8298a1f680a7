"""What every store must do (the ``home`` fixture runs over all of them), and what is particular to SQLite."""

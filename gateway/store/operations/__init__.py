"""The port's methods over SQLite, a class for each of its parts; ``gateway.store.engine`` is all of them."""

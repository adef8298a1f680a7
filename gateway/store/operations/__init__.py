"""The port's methods over SQL, a class for each of its parts; ``gateway.store.engine`` is all of them."""

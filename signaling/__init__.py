"""Calls: the server owns each of them, its media is LiveKit's. Knows nothing of the gateway around it: see ``ports``."""

"""LiveKit behind the ``Media`` port: tokens, rooms, its webhooks, and what keeps it and our calls in step.

Imported only where LiveKit is configured: ``livekit.api`` is slow to load.
"""

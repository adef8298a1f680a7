"""Who is here and what is queued for them: sessions, the hub, presence, fan-out, the bus between nodes."""

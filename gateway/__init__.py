"""A self-hosted realtime gateway: rooms, messages and presence beside a platform's own users and login."""

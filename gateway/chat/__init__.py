"""The services behind both doors: rooms, messages, receipts, users, tenants, and their limits."""

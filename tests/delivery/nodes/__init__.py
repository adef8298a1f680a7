"""Presence over several nodes, which agree whatever happens to them."""

"""The rows of the table of routes, a family a file; ``gateway.api.table`` puts them together."""

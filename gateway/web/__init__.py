"""The Quart-Trio application: start page, health, API reference, and the REST surface for HTTP/2."""

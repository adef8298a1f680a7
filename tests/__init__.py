"""Mirrors the packages; ``support`` holds fakes, ``e2e`` real servers and clients."""

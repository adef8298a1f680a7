"""Bytes on sockets, on Trio: the listener, HTTP, WebSocket, Engine.IO and Socket.IO. Knows no rooms and no users."""

"""The real process, on real sockets, with the clients that people use."""

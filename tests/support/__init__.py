"""What the tests stand on: real processes, real clients, raw sockets."""

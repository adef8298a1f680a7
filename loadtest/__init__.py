"""A load test that anyone can run against a gateway of theirs: ``python -m loadtest SCENARIO --url … --api-key …``.

Two kinds of load. In the *scenarios* each user is a client of the real kind (``python-socketio`` and REST, under gevent,
run by locust): it signs in, connects, opens a room, types, sends, reads, refetches its room list 800 ms after a message,
renews its token, calls and answers. A client waits for what it asked for before it asks for more, so an overloaded
gateway is asked less: this shows how the whole feels, with up to one or two thousand users a process.

``open`` is the other kind: raw sockets, as many as the system has descriptors for, and messages sent when a schedule says
so whether or not earlier ones are through. Times count from the schedule, so a stall is charged to everybody who
would have been served meanwhile: this shows what a rate costs.

Users, rooms and tokens are made through the gateway's own REST routes with the API key, under names that no other run has.
Latencies go into HDR histograms (1 µs to 2 minutes, two digits), and from there into one HTML file.
"""

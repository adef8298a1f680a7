"""A history checker, as Jepsen is one: clients talk while everything beneath them fails, then what each was told is checked.

::

    schedule   a seed becomes a plan: who suffers what, and when
    cluster    real gateways over a real Redis and PostgreSQL, and ways to hurt them
    line       the network of one person: cut, slow or still
    device     a Socket.IO client that comes back as the published one does; node_device is that one itself
    people     who send, and send again when the answer was lost
    talk       one schedule from its start to its history
    checker    a history in, violations out; no I/O, no time
    planted    a gateway with a fault in it, for the checker to find

``python -m tests.history --schedules 1000`` runs many; the tests run some.
"""

"""Speed, claimed with a command: ``python -m bench fanout|echo|post|…`` (``list`` names them).

Every server, the gateway and its peers alike, is a process of its own, alone on one core; the driver has another. What is
compared is the CPU time the server spent per unit of work, beside throughput and latency by the clock. Peers run in turn
with the gateway, round by round, in the same call, so that what changes on the machine meanwhile meets all of them.
"""

"""rtnetlink: requests, dumps and notifications about queues and links, decoded into records.

Requests and records are packed here by ``struct``, with pyroute2's numbers: its message classes take 150
microseconds a record, which is too slow for counters ten times a second, and 0.9.7 misreads u32 selectors.
"""

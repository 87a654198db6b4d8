"""A node in memory: what callers of a node see, without NATS and without processes.

`connection` takes the place of NATS under the real `Client`, so validation, text streams and waits are the client's own
code. `streams` keeps what is stored, `speech` decides what becomes of each request, `questions` answers reads.
"""

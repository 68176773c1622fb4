"""A Ray cluster of real nodes on one machine: each host has its own network, processes and disk.

``machines`` makes hosts of namespaces; ``cluster`` starts Ray and an object store on them;
``python -m tests.hosts`` brings that up by hand, the fixtures of ``conftest`` for tests.
"""

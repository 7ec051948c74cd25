"""Implementations of the ports, one package or module per kind of thing outside. Foreign exceptions stop here.

::

    pg/, redis/, blobs/     PostgreSQL, the stream and counters, the object store
    sandbox/                the sandbox, over the launcher
    embedded/, children     servers that a node runs as its own children
    aio_bridge, batcher     asyncio for asyncpg and redis-py; calls of one kind in one round trip
    testdata, testdata_disk, compile_cache, toolchain    what a node keeps on its disk, and its languages
    github, hook_sender     HTTP to others
"""

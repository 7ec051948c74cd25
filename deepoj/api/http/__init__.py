"""The HTTP/1.1 server of the API, built on trio's sockets and h11's public API.

From the socket to the application::

    server      listens, accepts, drains; detects disconnected clients
    arrivals    queue of accepted connections
    admission   limits connections, and chooses the one to close for a new one
    connection  one connection: head, body, answer, the next request; timeouts
    head        checks the head of a request before h11 parses it
    body        the body of a request, read from the socket on demand
    exchange    one request in the application: id, trace, metrics
    sites       from which site a browser sent a request
    compression compresses answers with gzip
    unsent      limits the memory of answers that clients do not read
"""

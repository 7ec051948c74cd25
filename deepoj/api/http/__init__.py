"""The HTTP/1.1 server of the API, on trio's sockets and h11's public API.

From the socket to the application::

    server      listens, accepts, drains; looks after clients that leave
    arrivals    accepted connections that wait for their turn
    admission   which connections may stay, and which one is closed for a new one
    connection  one connection: head, body, answer, and the next request; its timeouts
    link        the connected socket
    head        what is wrong with the head of a request, before h11 reads it
    body        the body of a request, read from the socket as its route asks for it
    exchange    one request in the application: its id, its trace, its metrics
"""

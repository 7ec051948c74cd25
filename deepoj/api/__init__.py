"""The HTTP API (contract §2): a quart-trio application over hypercorn's connections.

From outside in::

    serve        the listening socket, the drain
    http11       one TCP connection: HTTP/1.1, its deadlines
    connection   one request over ASGI: X-Request-ID, metrics, bodies nobody read
    app          create_app: routes, errors, CORS, OpenAPI
    routes_*     one file per group of routes; thin: they ask, they answer
    auth, oauth, body, upload, address, redact, models, errors    what routes are made of
    doors, settings    what the application is handed
"""

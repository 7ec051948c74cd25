"""The HTTP API (contract §2): a quart-trio application over a server of our own.

From outside in::

    http/        the server: sockets, connections, and one request in the application
    app          create_app: routes, errors, CORS, OpenAPI
    routes/      one file per group of routes; thin: they ask, they answer
    models/      request and response bodies, one file per group of routes
    auth, oauth, body, redact, errors    what routes are made of
    context, settings    what the application is handed
"""

"""The HTTP API: a quart-trio application over a server of our own.

From outside in::

    http/        the server: sockets, connections, and one request in the application
    app          create_app: routes, errors, CORS, OpenAPI
    route, access    how a route is declared, and who may call it
    routes/      one class per group of routes, whose methods are the handlers; they call the packages below the API
    models/      request and response bodies, one file per group of routes
    auth, oauth, body, redact, errors    what the handlers use
    context, settings    what the application depends on
"""

"""The HTTP API: a quart-trio application over a server of our own.

From outside in::

    http/        the server: sockets, connections, and one request in the application
    app          create_app: routes, errors, CORS, OpenAPI
    route, access    how a route is declared, and who may call it; rights is the table of who may do what
    routes/      one class per group of routes, whose methods are the handlers
    models/      request and response bodies, one file per group of routes
    submitting, publishing, rejudging, …    what routes and pages both do, over the packages below the API
    contesting, contest_*, reviewing    the same for contests; contest_callers decides who sees a contest, and as whom
    auth, oauth, body, redact, errors    what the handlers use
    context, settings    what the application depends on
"""

"""Request and response bodies as pydantic models: they validate requests and generate the OpenAPI document.

``base`` has the base classes and the body of errors; each other module has the models of the routes of its name.
"""

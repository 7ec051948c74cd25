"""The API against its own OpenAPI document, by generated requests."""

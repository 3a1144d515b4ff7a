"""HTTP itself: the server, connections, ids, limits, errors and the OpenAPI document. Nothing here knows a model."""

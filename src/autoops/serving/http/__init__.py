"""HTTP: the server, connections, request ids, limits, errors and the OpenAPI document. Nothing here imports a model."""

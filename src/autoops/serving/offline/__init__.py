"""Files of trips instead of requests: `autoops predict`, by a local model or an API elsewhere."""

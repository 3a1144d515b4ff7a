"""Predictions for files of rows instead of requests: `autoops predict`, by a local model or a remote API."""

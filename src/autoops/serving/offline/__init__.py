"""Predictions for files of trips instead of requests: `autoops predict`, by a local model or a remote API."""

"""The use cases behind the endpoints: score and log trips, store labels. Nothing here depends on HTTP."""

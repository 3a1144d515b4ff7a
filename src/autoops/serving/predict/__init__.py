"""The use cases behind the endpoints: score and log rows, store labels. Nothing here depends on HTTP."""

"""The use cases behind the endpoints: score and log, take labels in. Nothing here knows HTTP."""

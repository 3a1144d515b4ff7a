"""The metrics of the loop for Prometheus, read from the database at each scrape. Nothing here writes or decides."""

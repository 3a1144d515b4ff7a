"""The HTTP API: predictions from the champion, logged before they are answered, swapped without a lost request.

The rooms, from the top down; each imports only rooms below it (`.importlinter`):

    app.py      puts the API together
    routes.py   the endpoints: parse, call one use case, answer
    offline     `autoops predict`: files of trips instead of requests
    auth        keys, their scopes and rates
    http        the server, its connections, the one layer around each request, errors, the OpenAPI document
    predict     the use cases: score and log one trip or a batch, take labels in
    log         group commit, and the outbox in front of a database that may be away
    model       which version is loaded, how one is tried and swapped, which are blocked
    payloads    bodies in and out: bounds, types, timestamps, JSON and Arrow
    metrics.py, periodic.py, shutdown.py    what all of them use
"""

"""The HTTP API: logs each prediction of the champion before it responds, and swaps versions without losing a request.

The packages, from the top down; each imports only those below it (`.importlinter`):

    app.py      builds the API
    routes.py   the endpoints: parse, call one use case, respond
    inference.py    the same in the Open Inference Protocol, below /v2
    offline     `autoops predict`: files of rows instead of requests
    auth        API keys, their scopes and rate limits
    http        the server, its connections, the middleware around each request, errors, the OpenAPI document
    predict     the use cases: score and log one row or a batch, store labels
    log         group commit, and the outbox in front of a database that may be unavailable
    model       which version is loaded, how one is tried and swapped, which are blocked
    payloads    request and response bodies: bounds, types, timestamps, JSON and Arrow
    metrics.py, periodic.py, shutdown.py    shared by all of the above

The way of one `POST /predict`:

    http/connections.py          bound what a client may send, and for how long
    http/middleware.py           give it an id, shed load, check its key, time and count it
    routes.py, payloads          read and check the body: `Endpoints.predict`, `row_models.RowModels`
    predict/predictor.py         `Predictor.predict`: wait for the next group
    log/writer.py                join the rows of concurrent requests
    predict/predictor.py         `_predict_all`: score them together and append them to the log
    storage or log/outbox_log.py commit
    routes.py                    respond with what the log holds
"""

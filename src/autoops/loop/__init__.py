"""The loop: what is wrong with the served model, what to do about it, and the record of both.

The packages, from the top down; each imports only packages below it (`.importlinter`):

    reports     what people read: an incident's report, an overview, one prediction explained
    metrics     what Prometheus reads
    monitor     one check: fetch, judge, decide, record
    retrain     one retraining: plan, train, compare, promote
    promote     the champion alias: who holds it, who held it, whether the last move was a mistake
    incidents   when an alarm becomes an incident, and what holds the loop back
    data        what is judged and trained on: windows of the log, published months, labels
    decide      the rules, as pure functions
    records     the ledger, the checks, the locks

`context.py` has the adapters that all of them are given. `housekeeping.py` is what `autoops prune` deletes.
"""

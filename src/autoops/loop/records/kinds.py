"""The kinds of incidents and of ledger entries, as the database has them."""

from collections.abc import Mapping
from typing import Literal

IncidentKind = Literal["drift", "re-evaluation", "scheduled", "manual"]

# At most 30 characters each, which is the width of the column.
EntryKind = Literal[
    "approved",
    "check",
    "compared with previous",
    "detects enough",
    "detects too little",
    "frozen",
    "frozen long",
    "frozen no longer",
    "gate",
    "incident closed",
    "incident open",
    "incident opened",
    "incident waiting for approval",
    "incident waiting for data",
    "ingested",
    "labels come again",
    "labels missing",
    "monitor checks again",
    "monitor silent",
    "not served",
    "page",
    "policy: cool down",
    "policy: frozen",
    "policy: incident stands",
    "policy: watch",
    "promoted",
    "quarantined",
    "post-promotion check over",
    "released",
    "retraining asked for",
    "retraining begun",
    "retraining failed",
    "rolled back",
    "re-evaluation begun",
    "served",
    "served again",
    "trained",
    "unfrozen",
    "version deleted",
]

POLICY_KINDS: Mapping[str, EntryKind] = {
    "cool down": "policy: cool down",
    "frozen": "policy: frozen",
    "incident stands": "policy: incident stands",
    "page": "page",
    "watch": "policy: watch",
}
"""How the ledger records what the policy decides, by its action."""

"""The full stack, proven from the outside: through published ports and `docker compose`, as its users have it.

`scripts/stack.sh test` runs these files in the order of their names. They are acts of one story on one stack: it comes
up from nothing under a project name, ports and secrets of its own, and each act begins where the one before ended.

AUTOOPS_STACK_KEEP=1 leaves the stack up afterwards and says how to reach it; AUTOOPS_STACK_ENV=FILE plays on the
stack that such a file describes, instead of a new one. AUTOOPS_STACK_PROJECT is the project's name.
"""

"""Features of other projects: their declarations, locked in a file beside the configuration.

Code may depend on features that it does not declare. `metaxy lock` takes their declarations, and
those of all they are made from, out of the newest graphs that their projects have recorded in the
store; whoever loads the graph adds them. They stay the other project's: nothing here writes them.
"""

from metaxy_core.external.lock import LOCK_FILE, Lock, Locked
from metaxy_core.external.locking import (
    Mismatch,
    compare_lock,
    lock_changes,
    make_lock,
    refuse_mismatches,
)
from metaxy_core.external.using import use_lock

__all__ = [
    "LOCK_FILE",
    "Lock",
    "Locked",
    "Mismatch",
    "compare_lock",
    "lock_changes",
    "make_lock",
    "refuse_mismatches",
    "use_lock",
]

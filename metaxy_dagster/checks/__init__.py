"""Asset checks and the guard: what changed, what is pending, what is broken."""

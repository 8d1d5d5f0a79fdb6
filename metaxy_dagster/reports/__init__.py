"""What Dagster is told of a feature: metadata of definitions and of events."""

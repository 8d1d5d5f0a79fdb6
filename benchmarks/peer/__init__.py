"""The comparison with metaxy 0.1.11, which has an environment and a process of its own."""

"""A feature graph out of YAML: its attributes, the functions it names, and how `dg` begins one."""

"""`python -m metaxy_core.cli` is `metaxy`."""

from metaxy_core.cli.app import main

raise SystemExit(main())

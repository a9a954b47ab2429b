"""`python -m wizard` is the command line."""

from wizard.cli import main

raise SystemExit(main())

"""`python -m soc.app` is `soc`."""

from soc.app.cli import main

main()

"""`python -m mmdoctor`."""

from mmdoctor.cli import main

main()

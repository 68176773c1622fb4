"""``python -m jobs``: the command ``crnn`` where it isn't installed."""

from jobs.command import main

main()

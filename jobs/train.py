"""Train a recognizer on shards; the result is a run folder with a bundle and a report.

python jobs/train.py                                  render strings, train on them
python jobs/train.py --data s3://bucket/shards --num-workers 4 --use-gpu
ray job submit -- python jobs/train.py --name first   on a cluster; the same name resumes
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

if not __package__:  # run as a script
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from jobs import cli


def main(argv: Sequence[str]) -> None:
    """Parses the command line and trains."""
    from jobs.training.settings import TrainSettings

    settings = cli.parse(TrainSettings, argv, description=__doc__ or "")
    from jobs.training.run import train

    train(settings)


if __name__ == "__main__":
    cli.run(main)

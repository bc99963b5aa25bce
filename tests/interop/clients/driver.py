"""What the feature drivers in Python share: arguments, and how they say what they have seen."""

import argparse


def parse_arguments():
    """--host, --port, --cafile; all of them are required."""
    parser = argparse.ArgumentParser()
    for name in ("host", "port", "cafile"):
        parser.add_argument(f"--{name}", required=True)
    return parser.parse_args()


def ok(feature):
    """For interop.py, which knows what must be seen."""
    print(f"ok\t{feature}", flush=True)

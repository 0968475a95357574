"""Launches records once on a GPU and compares what they give; the driver and NumPy are all that it needs.

    python3 -m gpu.check FILE.json … [--unfilled]

A line for each: its name and "ok" with the error as a part of its bound, or what is wrong. Sanitizers run it, too.
"""

import argparse
import pathlib
import sys

from . import driver, families


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("records", nargs="+", type=pathlib.Path)
    parser.add_argument(
        "--unfilled", action="store_true", help="leave memory that a kernel has to write as it was allocated"
    )
    options = parser.parse_args()
    try:
        gpu = driver.Driver()
    except driver.NoGpuError as error:
        sys.exit(f"error: {error}")
    wrong = 0
    for path in options.records:
        try:
            case = families.case_of(path)
            part = families.check(case, driver.launch(case, gpu, fill=not options.unfilled))
            print(f"{path.stem} ok {part:.3f}", flush=True)
        except Exception as error:
            wrong += 1
            print(f"{path.stem} failed: {type(error).__name__}: {error}".splitlines()[0], flush=True)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()

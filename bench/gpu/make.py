"""Makes the kernels of the catalog: needs the built compiler, no GPU.

    python3 -m gpu.make FOLDER --build BUILD [--arch sm_90a] [--only PATTERN,…] [--checks]

FOLDER gets NAME.json, NAME.ptx and NAME.cubin of each; what could not be made is printed with the reason.
"""

import argparse
import fnmatch
import os
import pathlib
import subprocess
from concurrent.futures import ThreadPoolExecutor

from . import catalog


def make(entry, folder, build, arch):
    """None, or why it could not be made."""
    command = [build / "bin/qopt-kernel", entry.family, *entry.words.split(), "--arch", arch, "-o", folder / entry.name]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    return done.stderr.strip() if done.returncode else None


def make_all(entries, folder, build, arch="sm_90a"):
    """Names of what could not be made, with the reasons."""
    folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        reasons = pool.map(lambda entry: make(entry, folder, build, arch), entries)
        return {entry.name: reason for entry, reason in zip(entries, reasons, strict=True) if reason}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--arch", default="sm_90a")
    parser.add_argument("--only", default="*", help="names or patterns with commas between")
    parser.add_argument("--checks", action="store_true", help="the small launches that are compared, not the measured")
    options = parser.parse_args()
    entries = list(catalog.checks() if options.checks else catalog.entries())
    patterns = options.only.split(",")
    entries = [entry for entry in entries if any(fnmatch.fnmatch(entry.name, pattern) for pattern in patterns)]
    for name, reason in make_all(entries, options.folder, options.build, options.arch).items():
        print(f"{name}: {reason}")


if __name__ == "__main__":
    main()

"""Makes the kernels of the catalog: needs the built compiler, no GPU.

    python3 -m gpu.make FOLDER --build BUILD [--arch sm_90a] [--only PATTERN,…]

FOLDER gets NAME.json, NAME.ptx and NAME.cubin of each; failed.json says why others could not be made.
"""

import argparse
import fnmatch
import json
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


def make_all(folder, build, arch="sm_90a", only="*"):
    """Names of what could not be made, with the reasons."""
    folder.mkdir(parents=True, exist_ok=True)
    patterns = only.split(",")
    wanted = [e for e in catalog.entries() if any(fnmatch.fnmatch(e.name, pattern) for pattern in patterns)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        reasons = pool.map(lambda entry: make(entry, folder, build, arch), wanted)
        failed = {entry.name: reason for entry, reason in zip(wanted, reasons, strict=True) if reason}
    (folder / "failed.json").write_text(json.dumps(failed, indent=1) + "\n")
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--arch", default="sm_90a")
    parser.add_argument("--only", default="*", help="names or patterns with commas between")
    options = parser.parse_args()
    failed = make_all(options.folder, options.build, options.arch, options.only)
    for name, reason in failed.items():
        print(f"{name}: {reason}")


if __name__ == "__main__":
    main()

"""Every example that a tool's --help shows runs as it is written."""

import pathlib
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
TOOLS = [
    "qopt-bench",
    "qopt-compile",
    "qopt-emulate",
    "qopt-eval",
    "qopt-inspect",
    "qopt-opt",
    "qopt-run",
    "qopt-translate",
]

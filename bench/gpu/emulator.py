"""Launches a record on the PTX emulator: the same arguments as on a GPU, every access checked."""

import pathlib
import subprocess
import tempfile

import numpy as np

from .record import TYPES, laid_out


def arguments_of(case):
    """arg0, arg1, … as qopt-emulate reads them."""
    arguments = {}
    for index, (argument, filled) in enumerate(
        zip(case.record.arguments, case.record.fill(case.inputs()), strict=True)
    ):
        kind = TYPES[argument["type"]]
        value = kind(filled) if argument["use"] == "value" else laid_out(filled).view(kind).reshape(argument["shape"])
        arguments[f"arg{index}"] = value
    return arguments


def command_of(record, emulate):
    """How the program `emulate`, qopt-emulate, launches the kernel, but for its PTX and its arrays."""
    command = [emulate, "--kernel", record.symbol, "--shared", record.shared_bytes]
    for extent in ("grid", "block"):
        command += [f"--{extent}", ",".join(map(str, getattr(record, extent)))]
    return [str(word) for word in command]


def launch(case, emulate, options=()):
    """What the launch left in each array, by name, and what `emulate` printed."""
    record = case.record
    with tempfile.TemporaryDirectory() as folder:
        given, left = pathlib.Path(folder) / "args.npz", pathlib.Path(folder) / "out.npz"
        np.savez(given, **arguments_of(case))
        command = [*command_of(record, emulate), record.ptx_path(), "--args", given, "--out", left, *options]
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{record.name}: qopt-emulate ended with status {done.returncode}: {done.stderr}")
        arrays = np.load(left)
        outputs = {a["name"]: arrays[f"arg{i}"] for i, a in enumerate(record.arguments) if f"arg{i}" in arrays.files}
    return outputs, done.stdout

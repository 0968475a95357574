"""Launches a record on the PTX emulator: the same arguments as on a GPU, every access checked."""

import pathlib
import subprocess
import tempfile

import numpy as np

from .record import TYPES, laid_out


def launch(case, emulate, options=()):
    """What the launch left in each array, by name, and what `emulate` (the program qopt-emulate) printed."""
    record = case.record
    arguments = {}
    for index, (argument, filled) in enumerate(zip(record.arguments, record.fill(case.inputs()), strict=True)):
        kind = TYPES[argument["type"]]
        value = kind(filled) if argument["use"] == "value" else laid_out(filled).view(kind).reshape(argument["shape"])
        arguments[f"arg{index}"] = value
    with tempfile.TemporaryDirectory() as folder:
        given, left = pathlib.Path(folder) / "args.npz", pathlib.Path(folder) / "out.npz"
        np.savez(given, **arguments)
        command = [emulate, record.ptx_path(), "--kernel", record.symbol, "--shared", record.shared_bytes]
        for extent in ("grid", "block"):
            command += [f"--{extent}", ",".join(map(str, getattr(record, extent)))]
        command += ["--args", given, "--out", left, *options]
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{record.name}: qopt-emulate ended with status {done.returncode}: {done.stderr}")
        arrays = np.load(left)
        outputs = {a["name"]: arrays[f"arg{i}"] for i, a in enumerate(record.arguments) if f"arg{i}" in arrays.files}
    return outputs, done.stdout

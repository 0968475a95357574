"""The record of a kernel that qopt-kernel wrote, and its arguments as parts that repeat: large ones are cheap."""

import json
import pathlib
from dataclasses import dataclass

import numpy as np

#: Bits are what a launch moves; halves have no type of their own in NumPy.
TYPES = {
    "f16": np.uint16,
    "bf16": np.uint16,
    "f32": np.float32,
    "int8": np.int8,
    "i32": np.int32,
    "i64": np.int64,
    "u32": np.uint32,
    "u8": np.uint8,
}


#: Uses of an argument that has a content before the launch, and of one that is looked at behind it.
READ, LEFT = ("read", "update"), ("write", "update", "counters")


@dataclass
class Part:
    """An array that lies `times` times one after the other."""

    array: np.ndarray
    times: int = 1

    @property
    def nbytes(self):
        return self.array.nbytes * self.times


def numbers_of(value):
    """The numbers of a word of a problem, which has one or, with colons between, several."""
    return [int(number) for number in str(value).split(":")]


class Record:
    """A kernel, its launch and its arguments in their order."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        fields = json.loads(self.path.read_text())
        if fields.get("tool") != "qopt-kernel":
            raise ValueError(f"{path} is no record of qopt-kernel")
        self.__dict__ |= fields

    @property
    def name(self):
        return self.path.stem

    def code(self):
        """The machine code, or the PTX where there is none."""
        return (self.path.parent / self.__dict__.get("cubin", self.ptx)).read_bytes()

    def ptx_path(self):
        return self.path.parent / self.ptx

    def argument(self, name):
        return next(argument for argument in self.arguments if argument["name"] == name)

    def nbytes(self, argument):
        return int(np.prod(argument["shape"])) * np.dtype(TYPES[argument["type"]]).itemsize

    def empty(self, argument):
        return np.empty(argument["shape"], TYPES[argument["type"]])

    def fill(self, inputs):
        """Every argument as a list of parts, or the number that is passed by value.

        `inputs` has what the kernel reads or updates. What it writes is not a number before, counters are zero.
        """
        filled = []
        for argument in self.arguments:
            use, name = argument["use"], argument["name"]
            if use == "value":
                filled.append(argument["value"])
                continue
            size = self.nbytes(argument)
            if use in READ:
                parts = inputs[name]
                given = sum(part.nbytes for part in parts)
                if given != size:
                    raise ValueError(f"{self.name}: {name} has {given} bytes, the kernel reads {size}")
            else:
                parts = [Part(np.array([0 if use == "counters" else 0xFF], np.uint8), size)]
            filled.append(parts)
        return filled


def laid_out(parts):
    """Parts as the bytes that they stand for."""
    return np.concatenate([np.tile(part.array.reshape(-1).view(np.uint8), part.times) for part in parts])

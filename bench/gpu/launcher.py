"""Launches records on memory of PyTorch, in its streams and graphs, beside what it runs itself."""

from ctypes import c_int, c_ulonglong

import numpy as np
import torch

from . import driver, families
from .record import LEFT


def on_gpu(parts):
    """Parts as one tensor of bytes; what repeats is sent once."""
    pieces = []
    for part in parts:
        flat = np.ascontiguousarray(part.array).reshape(-1).view(np.uint8)
        pieces.append(torch.from_numpy(flat.copy()).cuda().repeat(part.times))
    return pieces[0] if len(pieces) == 1 else torch.cat(pieces)


class Launches:
    """Launches of one record, each with a copy of its own of what it streams and of what it writes."""

    def __init__(self, path, gpu, copies, seed=0):
        """`copies` is a function of the bytes of the argument that is streamed."""
        self.case = families.case_of(path, seed)
        self.record = record = self.case.record
        self.kernel = driver.Kernel(gpu, record.code(), record.symbol, record.shared_bytes)
        streamed = record.argument(self.case.streamed)
        self.sets = [{} for _ in range(copies(record.nbytes(streamed)))]
        for argument, filled in zip(record.arguments, record.fill(self.case.inputs()), strict=True):
            if argument["use"] == "value":
                continue
            name, tensor = argument["name"], on_gpu(filled)
            own = name == streamed["name"] or argument["use"] in ("write", "update")
            for index, memory in enumerate(self.sets):
                memory[name] = tensor.clone() if own and index else tensor

    def calls(self, dependent):
        """A launch of each set on the current stream; a dependent one may start before its predecessor has ended."""
        calls = []
        for memory in self.sets:
            arguments = [
                c_int(a["value"]) if a["use"] == "value" else c_ulonglong(memory[a["name"]].data_ptr())
                for a in self.record.arguments
            ]
            launch = self.kernel.bind(self.record.grid, self.record.block, arguments, dependent)
            calls.append(lambda launch=launch: launch(torch.cuda.current_stream().cuda_stream))
        return calls

    def check(self):
        """Launches every set once; the largest error of the first and the last as a part of the bound."""
        for call in self.calls(False):
            call()
        torch.cuda.synchronize()
        ends = self.sets[:: max(len(self.sets) - 1, 1)]
        return max(families.check(self.case, self._outputs(memory)) for memory in ends)

    def _outputs(self, memory):
        outputs = {}
        for argument in self.record.arguments:
            if argument["use"] in LEFT:
                like = self.record.empty(argument)
                bits = memory[argument["name"]].cpu().numpy()
                outputs[argument["name"]] = bits.view(like.dtype).reshape(like.shape)
        return outputs

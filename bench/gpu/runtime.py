"""The runtime through its C interface (include/qopt/qopt.h), as far as tests and times of several sequences need it."""

import ctypes
from ctypes import POINTER, byref, c_char_p, c_float, c_int, c_int32, c_int64, c_size_t, c_uint64, c_void_p


class EngineOptions(ctypes.Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("threads", c_int),
        ("device", c_char_p),
        *[(name, c_int64) for name in ("cache_tokens", "max_sequences", "chunk_tokens", "max_queue")],
    ]


class Request(ctypes.Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("tokens", POINTER(c_int32)),
        ("token_count", c_size_t),
        ("text", c_char_p),
        ("text_size", c_size_t),
        ("max_tokens", c_int64),
        ("temperature", c_float),
        ("top_k", c_int32),
        *[(name, c_float) for name in ("top_p", "min_p", "repetition_penalty")],
        ("seed", c_uint64),
        ("ignore_end", c_int),
    ]


class Event(ctypes.Structure):
    _fields_ = [("request", c_uint64), ("token", c_int32), ("finish", c_int)]


class Engine:
    """An artifact on a device, for several prompts at once."""

    def __init__(self, library, artifact, device):
        self.library = ctypes.CDLL(str(library))
        self.library.qopt_last_error.restype = c_char_p
        self.artifact, self.engine = c_void_p(), c_void_p()
        self._call("qopt_artifact_open", str(artifact).encode(), 0, byref(self.artifact))
        options = EngineOptions()
        self._call("qopt_engine_options_fill", byref(options), c_size_t(ctypes.sizeof(options)))
        options.device = device.encode()
        self._call("qopt_engine_create", self.artifact, byref(options), byref(self.engine))

    def _call(self, name, *arguments):
        if getattr(self.library, name)(*arguments):
            raise RuntimeError(f"{name}: {self.library.qopt_last_error().decode()}")

    def generate(self, prompts, count):
        """The tokens that follow each prompt; all run together, whatever their lengths."""
        found = {}
        for prompt in prompts:
            request = Request()
            self._call("qopt_request_fill", byref(request), c_size_t(ctypes.sizeof(request)))
            text = prompt.encode()
            request.text, request.text_size, request.max_tokens, request.ignore_end = text, len(text), count, 1
            number = c_uint64()
            self._call("qopt_engine_submit", self.engine, byref(request), byref(number))
            found[number.value] = []
        events, size = POINTER(Event)(), c_size_t()
        while not self.library.qopt_engine_idle(self.engine):
            self._call("qopt_engine_step", self.engine, byref(events), byref(size))
            for event in events[: size.value]:
                if event.token >= 0:
                    found[event.request].append(event.token)
        return list(found.values())

    def close(self):
        self.library.qopt_engine_release(self.engine)
        self.library.qopt_artifact_release(self.artifact)

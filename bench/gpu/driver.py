"""The part of the CUDA driver's C interface that launches a record: ctypes alone, nothing to install."""

import ctypes
import os
from ctypes import byref, c_char_p, c_int, c_size_t, c_uint, c_ulonglong, c_void_p

import numpy as np

from .record import LEFT, READ, laid_out

MAX_DYNAMIC_SHARED, SHARED_CARVEOUT = 8, 9
MULTIPROCESSORS, CAPABILITY_MAJOR, CAPABILITY_MINOR, CACHE_BYTES = 16, 75, 76, 38
PROGRAMMATIC_STREAM_SERIALIZATION = 6
NON_BLOCKING = 1


class Attribute(ctypes.Structure):
    _fields_ = [("id", c_int), ("pad", c_int), ("value", c_int * 16)]


class Configuration(ctypes.Structure):
    _fields_ = [
        *[(name, c_uint) for name in ("grid_x", "grid_y", "grid_z", "block_x", "block_y", "block_z", "shared")],
        ("stream", c_void_p),
        ("attributes", ctypes.POINTER(Attribute)),
        ("count", c_uint),
    ]


class NoGpuError(Exception):
    """There is no GPU here, or no driver."""


class Driver:
    """The first GPU, in the context that other libraries of the process share."""

    def __init__(self):
        try:
            self.library = ctypes.CDLL(os.environ.get("QOPT_CUDA_DRIVER", "libcuda.so.1"))
        except OSError as error:
            raise NoGpuError(f"there is no CUDA driver here ({error}); run this where a GPU is") from None
        count = c_int()
        if self.library.cuInit(0) or self.library.cuDeviceGetCount(byref(count)) or not count.value:
            raise NoGpuError("there is no GPU here: the CUDA driver finds no device")
        self.device, self.context = c_int(), c_void_p()
        self.call("cuDeviceGet", byref(self.device), 0)
        self.call("cuDevicePrimaryCtxRetain", byref(self.context), self.device)
        self.call("cuCtxSetCurrent", self.context)

    def call(self, name, *arguments):
        result = getattr(self.library, name)(*arguments)
        if result:
            text = c_char_p()
            self.library.cuGetErrorName(result, byref(text))
            raise RuntimeError(f"{name}: {(text.value or b'error').decode()} ({result})")

    def attribute(self, number):
        value = c_int()
        self.call("cuDeviceGetAttribute", byref(value), number, self.device)
        return value.value

    def describe(self):
        name, memory, version = ctypes.create_string_buffer(100), c_size_t(), c_int()
        self.call("cuDeviceGetName", name, 100, self.device)
        self.call("cuDeviceTotalMem_v2", byref(memory), self.device)
        self.call("cuDriverGetVersion", byref(version))
        return {
            "name": name.value.decode(),
            "memory_bytes": memory.value,
            "capability": f"{self.attribute(CAPABILITY_MAJOR)}.{self.attribute(CAPABILITY_MINOR)}",
            "multiprocessors": self.attribute(MULTIPROCESSORS),
            "driver_cuda": f"{version.value // 1000}.{version.value % 1000 // 10}",
        }

    def allocate(self, size):
        pointer = c_ulonglong()
        self.call("cuMemAlloc_v2", byref(pointer), c_size_t(max(size, 1)))
        return pointer.value

    def stream(self):
        handle = c_void_p()
        self.call("cuStreamCreate", byref(handle), NON_BLOCKING)
        return handle

    def upload(self, pointer, array, stream):
        array = np.ascontiguousarray(array)
        size = c_size_t(array.nbytes)
        self.call("cuMemcpyHtoDAsync_v2", c_ulonglong(pointer), c_void_p(array.ctypes.data), size, stream)
        self.call("cuStreamSynchronize", stream)  # the array may be gone when this returns

    def download(self, array, pointer, stream):
        size = c_size_t(array.nbytes)
        self.call("cuMemcpyDtoHAsync_v2", c_void_p(array.ctypes.data), c_ulonglong(pointer), size, stream)
        self.call("cuStreamSynchronize", stream)


class Kernel:
    """A function of a module, ready to be launched with the same arguments again and again."""

    def __init__(self, driver, code, symbol, shared=0):
        self.driver, self.shared = driver, shared
        self.code = code + b"\0"  # the driver wants PTX to end with a zero
        self.module, self.function = c_void_p(), c_void_p()
        driver.call("cuModuleLoadDataEx", byref(self.module), c_char_p(self.code), 0, None, None)
        driver.call("cuModuleGetFunction", byref(self.function), self.module, symbol.encode())
        if shared:
            driver.call("cuFuncSetAttribute", self.function, MAX_DYNAMIC_SHARED, shared)
        # As the runtime does: an SM is divided alike for all kernels, or a dependent one waits until it is empty.
        driver.call("cuFuncSetAttribute", self.function, SHARED_CARVEOUT, 100)

    def bind(self, grid, block, arguments, dependent=False):
        """A call of a stream's handle that launches. An address is a ctypes c_ulonglong, a number by value a c_int."""
        attribute = Attribute(PROGRAMMATIC_STREAM_SERIALIZATION, 0, (c_int * 16)(1))
        configuration = Configuration(*grid, *block, self.shared, None, ctypes.pointer(attribute), int(dependent))
        values = list(arguments)
        addresses = (c_void_p * len(values))(*[ctypes.addressof(value) for value in values])

        def launch(stream=None):
            configuration.stream = stream
            self.driver.call("cuLaunchKernelEx", byref(configuration), self.function, addresses, None)
            return values  # they live as long as this function does

        return launch


def launch(case, driver, fill=True):
    """What one launch of a record left in each array, by name; nothing but the driver is used.

    Without `fill` memory that the kernel has to write first is left as it was allocated, which initcheck watches.
    """
    record = case.record
    kernel, stream = Kernel(driver, record.code(), record.symbol, record.shared_bytes), driver.stream()
    arguments, pointers, outputs = [], {}, {}
    for argument, filled in zip(record.arguments, record.fill(case.inputs()), strict=True):
        if argument["use"] == "value":
            arguments.append(c_int(filled))
            continue
        array = laid_out(filled)
        pointers[argument["name"]] = pointer = driver.allocate(array.nbytes)
        if fill or argument["use"] in (*READ, "counters"):
            driver.upload(pointer, array, stream)
        arguments.append(c_ulonglong(pointer))
    kernel.bind(record.grid, record.block, arguments)(stream)
    driver.call("cuStreamSynchronize", stream)
    for argument in record.arguments:
        if argument["use"] in LEFT:
            array = record.empty(argument)
            driver.download(array, pointers[argument["name"]], stream)
            outputs[argument["name"]] = array
    for pointer in pointers.values():
        driver.call("cuMemFree_v2", c_ulonglong(pointer))
    driver.call("cuModuleUnload", kernel.module)
    driver.call("cuStreamDestroy_v2", stream)
    return outputs

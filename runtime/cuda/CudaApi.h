// The part of the CUDA driver's C interface that qopt calls, declared here so
// that nothing of the toolkit is needed to build. The layouts are those of
// CUDA 12 and later; a test compares them with the toolkit's header where that
// is present.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_CUDA_CUDAAPI_H
#define QOPT_RUNTIME_CUDA_CUDAAPI_H

#include <cstddef>
#include <cstdint>

namespace qopt::cuda::api {

using Result = int;
using Device = int;
using DevicePointer = unsigned long long;
using Context = struct ContextTag *;
using ModuleHandle = struct ModuleTag *;
using FunctionHandle = struct FunctionTag *;
using Stream = struct StreamTag *;
using Graph = struct GraphTag *;
using GraphExec = struct GraphExecTag *;

inline constexpr Result success = 0;
inline constexpr Result outOfMemory = 2;
inline constexpr Result deviceUnavailable = 46;
inline constexpr Result invalidImage = 200;
inline constexpr Result noBinary = 209;
inline constexpr Result uncorrectableMemory = 214;
inline constexpr Result invalidPtx = 218;
inline constexpr Result uncorrectableLink = 220;
inline constexpr Result noCompiler = 221;
inline constexpr Result unsupportedPtx = 222;
inline constexpr Result notFound = 500;
inline constexpr Result illegalAddress = 700;
inline constexpr Result launchResources = 701;
inline constexpr Result launchTimeout = 702;
inline constexpr Result failedAssertion = 710;
inline constexpr Result stackError = 714; // 715 … 717: other faults of a kernel
inline constexpr Result invalidCounter = 718;
inline constexpr Result launchFailed = 719;
inline constexpr Result systemNotReady = 802;
inline constexpr Result unknown = 999;

// CUdevice_attribute
inline constexpr int multiprocessorCount = 16;
inline constexpr int capabilityMajor = 75;
inline constexpr int capabilityMinor = 76;
inline constexpr int sharedPerBlockOptin = 97;
// CUfunction_attribute
inline constexpr int maxDynamicShared = 8;
inline constexpr int preferredSharedCarveout = 9; // percent
// CUlaunchAttributeID
inline constexpr int programmaticStreamSerialization = 6;
// CUstreamCaptureMode
inline constexpr int captureThreadLocal = 1;
// CUstream_flags
inline constexpr unsigned streamNonBlocking = 1;
// CUjit_option
inline constexpr int jitErrorLogBuffer = 5;
inline constexpr int jitErrorLogBytes = 6;

struct LaunchAttribute {
  int id;
  char pad[4];
  union {
    char bytes[64];
    int programmaticStreamSerializationAllowed;
  } value;
};

struct LaunchConfig {
  unsigned gridX, gridY, gridZ;
  unsigned blockX, blockY, blockZ;
  unsigned sharedBytes;
  Stream stream;
  LaunchAttribute *attributes;
  unsigned attributeCount;
};

/// Every function, by the name that the library exports. X(field, symbol,
/// parameters).
#define QOPT_CUDA_FUNCTIONS(X)                                                 \
  X(init, "cuInit", (unsigned))                                                \
  X(driverVersion, "cuDriverGetVersion", (int *))                              \
  X(deviceCount, "cuDeviceGetCount", (int *))                                  \
  X(deviceGet, "cuDeviceGet", (Device *, int))                                 \
  X(deviceName, "cuDeviceGetName", (char *, int, Device))                      \
  X(deviceMemory, "cuDeviceTotalMem_v2", (size_t *, Device))                   \
  X(deviceAttribute, "cuDeviceGetAttribute", (int *, int, Device))             \
  X(retainContext, "cuDevicePrimaryCtxRetain", (Context *, Device))            \
  X(releaseContext, "cuDevicePrimaryCtxRelease_v2", (Device))                  \
  X(setContext, "cuCtxSetCurrent", (Context))                                  \
  X(memoryInfo, "cuMemGetInfo_v2", (size_t *, size_t *))                       \
  X(allocate, "cuMemAlloc_v2", (DevicePointer *, size_t))                      \
  X(release, "cuMemFree_v2", (DevicePointer))                                  \
  X(allocateHost, "cuMemAllocHost_v2", (void **, size_t))                      \
  X(releaseHost, "cuMemFreeHost", (void *))                                    \
  X(copyIn, "cuMemcpyHtoDAsync_v2",                                            \
    (DevicePointer, const void *, size_t, Stream))                             \
  X(copyOut, "cuMemcpyDtoHAsync_v2", (void *, DevicePointer, size_t, Stream))  \
  X(fill, "cuMemsetD8Async", (DevicePointer, unsigned char, size_t, Stream))   \
  X(loadModule, "cuModuleLoadDataEx",                                          \
    (ModuleHandle *, const void *, unsigned, int *, void **))                  \
  X(unloadModule, "cuModuleUnload", (ModuleHandle))                            \
  X(getFunction, "cuModuleGetFunction",                                        \
    (FunctionHandle *, ModuleHandle, const char *))                            \
  X(setFunctionAttribute, "cuFuncSetAttribute", (FunctionHandle, int, int))    \
  X(launch, "cuLaunchKernelEx",                                                \
    (const LaunchConfig *, FunctionHandle, void **, void **))                  \
  X(createStream, "cuStreamCreate", (Stream *, unsigned))                      \
  X(destroyStream, "cuStreamDestroy_v2", (Stream))                             \
  X(synchronise, "cuStreamSynchronize", (Stream))                              \
  X(beginCapture, "cuStreamBeginCapture_v2", (Stream, int))                    \
  X(endCapture, "cuStreamEndCapture", (Stream, Graph *))                       \
  X(instantiate, "cuGraphInstantiateWithFlags",                                \
    (GraphExec *, Graph, unsigned long long))                                  \
  X(destroyGraph, "cuGraphDestroy", (Graph))                                   \
  X(launchGraph, "cuGraphLaunch", (GraphExec, Stream))                         \
  X(destroyGraphExec, "cuGraphExecDestroy", (GraphExec))                       \
  X(errorName, "cuGetErrorName", (Result, const char **))                      \
  X(errorString, "cuGetErrorString", (Result, const char **))

/// The functions of a loaded driver library.
struct Functions {
#define QOPT_DECLARE(field, symbol, parameters) Result(*field) parameters;
  QOPT_CUDA_FUNCTIONS(QOPT_DECLARE)
#undef QOPT_DECLARE
};

} // namespace qopt::cuda::api

#endif // QOPT_RUNTIME_CUDA_CUDAAPI_H

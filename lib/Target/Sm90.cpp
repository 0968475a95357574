// sm_90a, with the figures of an H200 SXM: 132 SMs, CUDA 13.0, driver 580. What
// is "measured" was measured on that part, with the kernels that the source
// names; the rest is NVIDIA's or follows by arithmetic.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Target/Target.h"

using namespace qopt::target;

static constexpr std::string_view guide = "CUDA C++ Programming Guide, "
                                          "compute capability 9.0";

static constexpr Target target90a{
    .name = "sm_90a",
    .part = "H200 SXM",
    .capability = 90,
    .ptxVersion = 80,
    .multiprocessors = 132,
    .cacheBytes = 60ll << 20,
    .features = {.asyncCopy = true,
                 .bulkCopy = true,
                 .barrierTryWait = true,
                 .tensorMaps = true,
                 .clusters = true,
                 .wgmma = true,
                 .fp8Convert = true,
                 .fp8Mma = false, // assembled into conversions and f16 products
                 .bf16Add = true,
                 .dependentLaunch = true,
                 .registerTransfer = true},
    .limits = {.sharedPerSm = 228 * 1024,
               .sharedPerBlock = 227 * 1024,
               .sharedReserved = 1024,
               .registersPerSm = 65536,
               .registersPerThread = 255,
               .registerUnit = 256,
               .threadsPerSm = 2048,
               .threadsPerBlock = 1024,
               .blocksPerSm = 32},
    .rates =
        {
            .clock = {1.98e9, Basis::Published, "H200 boost clock"},
            .issue = {128, Basis::Published, guide},
            .streamBandwidth =
                {4.66e12, Basis::Measured,
                 "bulk copies of 4 to 32 KB into a ring of 4 x 16 KB per SM"},
            .copyBandwidth = {4.28e12, Basis::Measured, "device copy"},
            .mmaClocks = {6.7, Basis::Measured,
                          "8 warps an SM with 16 sums: 640 Tflop/s of f16, "
                          "1270 Top/s of int8 at 1.98 GHz"},
            .powerClock = {1.8e9, Basis::Measured,
                           "gemm in f16 for 1.5 s, at the limit of 700 W"},
            .launchGap = {1.3e-6, Basis::Published,
                          "per kernel of a CUDA graph, H100 megakernel report"},
            .dependencyGap = {1.45e-6, Basis::Measured,
                              "middle of 1.1 to 1.8 us an op, persistent W4A16 "
                              "prototype with its ring prefetched"},
            .emptyGap = {0.75e-6, Basis::Measured,
                         "norm, rotary_append and gated_activation of one row "
                         "in a chain: 0.7 to 1.0 us"},
            .bytesInFlight = {48 * 1024, Basis::Derived,
                              "4.66 TB/s x 1 us of loaded latency / 132 SMs = "
                              "36 KB, and a third more for jitter"},
            .chunkBytes = {4096, Basis::Measured,
                           "2 KB bulk copies fall to 3.6 TB/s, 4 KB do not"},
        },
};

const Target &qopt::target::sm90a() { return target90a; }

// sm_80, with the figures of an A100-80 SXM. Nothing here was measured by us:
// each figure names who published it, or the arithmetic that gives it.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Target/Target.h"

using namespace qopt::target;

static constexpr std::string_view sheet = "NVIDIA A100 data sheet";
static constexpr std::string_view guide = "CUDA C++ Programming Guide, "
                                          "compute capability 8.0";

static constexpr Target target80{
    .name = "sm_80",
    .part = "A100 SXM 80 GB",
    .capability = 80,
    .ptxVersion = 78,
    .multiprocessors = 108,
    .cacheBytes = 40ll << 20,
    .features = {.asyncCopy = true,
                 .bulkCopy = false,
                 .barrierTryWait = false,
                 .tensorMaps = false,
                 .clusters = false,
                 .wgmma = false,
                 .fp8Convert = false,
                 .fp8Mma = false,
                 .bf16Add = false,
                 .dependentLaunch = false,
                 .registerTransfer = false},
    // What is compiled for sm_80 runs on every later GPU: those of 8.6, 8.9 and
    // 12.0 allow a block 99 KB, where an A100 would allow 163.
    .limits = {.sharedPerSm = 164 * 1024,
               .sharedPerBlock = 99 * 1024,
               .sharedReserved = 1024,
               .registersPerSm = 65536,
               .registersPerThread = 255,
               .registerUnit = 256,
               .threadsPerSm = 2048,
               .threadsPerBlock = 1024,
               .blocksPerSm = 32},
    .rates =
        {
            .clock = {1.41e9, Basis::Published, sheet},
            .issue = {128, Basis::Published, guide},
            .streamBandwidth = {1.7e12, Basis::Published,
                                "achievable by the gpt-fast README, A100-80 at "
                                "330 W"},
            .copyBandwidth = {1.7e12, Basis::Published,
                              "taken as the stream figure"},
            .mmaClocks = {8, Basis::Derived,
                          "312 Tflop/s of f16 at 1.41 GHz by the data sheet"},
            .powerClock = {1.41e9, Basis::Published,
                           "taken as the boost clock"},
            .launchGap = {1.3e-6, Basis::Published,
                          "taken as on H100, megakernel report"},
            .dependencyGap = {1.3e-6, Basis::Derived,
                              "no dependent launch: the gap of a launch"},
            .emptyGap = {1.3e-6, Basis::Derived,
                         "no dependent launch: the gap of a launch"},
            .bytesInFlight = {16 * 1024, Basis::Derived,
                              "1.7 TB/s x 1 us of loaded latency / 108 SMs"},
            .chunkBytes = {16, Basis::Derived, "one cp.async"},
        },
};

const Target &qopt::target::sm80() { return target80; }

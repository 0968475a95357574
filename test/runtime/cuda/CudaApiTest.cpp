// What CudaApi.h declares has the layout and the numbers of the toolkit's
// header, where that is present; without it there is nothing to compare.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/cuda/CudaApi.h"

#include <gtest/gtest.h>

#if __has_include(<cuda.h>)
#include <cuda.h>

namespace api = qopt::cuda::api;

namespace {

#define QOPT_SAME_OFFSET(Mine, mine, Theirs, theirs)                           \
  EXPECT_EQ(offsetof(Mine, mine), offsetof(Theirs, theirs)) << #theirs

TEST(CudaApiTest, LaunchesHaveTheLayoutOfTheHeader) {
  using Config = CUlaunchConfig_st;
  EXPECT_EQ(sizeof(api::LaunchConfig), sizeof(Config));
  QOPT_SAME_OFFSET(api::LaunchConfig, gridX, Config, gridDimX);
  QOPT_SAME_OFFSET(api::LaunchConfig, blockX, Config, blockDimX);
  QOPT_SAME_OFFSET(api::LaunchConfig, sharedBytes, Config, sharedMemBytes);
  QOPT_SAME_OFFSET(api::LaunchConfig, stream, Config, hStream);
  QOPT_SAME_OFFSET(api::LaunchConfig, attributes, Config, attrs);
  QOPT_SAME_OFFSET(api::LaunchConfig, attributeCount, Config, numAttrs);
  using Attribute = CUlaunchAttribute_st;
  EXPECT_EQ(sizeof(api::LaunchAttribute), sizeof(Attribute));
  QOPT_SAME_OFFSET(api::LaunchAttribute, id, Attribute, id);
  QOPT_SAME_OFFSET(api::LaunchAttribute, value, Attribute, value);
  EXPECT_EQ(sizeof(api::DevicePointer), sizeof(CUdeviceptr));
  EXPECT_EQ(sizeof(api::Device), sizeof(CUdevice));
}

TEST(CudaApiTest, NumbersAreThoseOfTheHeader) {
  struct Pair {
    int mine, theirs;
  };
  const Pair pairs[] = {
      {api::success, CUDA_SUCCESS},
      {api::outOfMemory, CUDA_ERROR_OUT_OF_MEMORY},
      {api::invalidImage, CUDA_ERROR_INVALID_IMAGE},
      {api::noBinary, CUDA_ERROR_NO_BINARY_FOR_GPU},
      {api::uncorrectableMemory, CUDA_ERROR_ECC_UNCORRECTABLE},
      {api::invalidPtx, CUDA_ERROR_INVALID_PTX},
      {api::noCompiler, CUDA_ERROR_JIT_COMPILER_NOT_FOUND},
      {api::unsupportedPtx, CUDA_ERROR_UNSUPPORTED_PTX_VERSION},
      {api::notFound, CUDA_ERROR_NOT_FOUND},
      {api::illegalAddress, CUDA_ERROR_ILLEGAL_ADDRESS},
      {api::launchTimeout, CUDA_ERROR_LAUNCH_TIMEOUT},
      {api::failedAssertion, CUDA_ERROR_ASSERT},
      {api::stackError, CUDA_ERROR_HARDWARE_STACK_ERROR},
      {api::invalidCounter, CUDA_ERROR_INVALID_PC},
      {api::launchFailed, CUDA_ERROR_LAUNCH_FAILED},
      {api::multiprocessorCount, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT},
      {api::capabilityMajor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR},
      {api::capabilityMinor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR},
      {api::sharedPerBlockOptin,
       CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN},
      {api::maxDynamicShared, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES},
      {api::preferredSharedCarveout,
       CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT},
      {api::programmaticStreamSerialization,
       CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION},
      {api::captureThreadLocal, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL},
      {int(api::streamNonBlocking), CU_STREAM_NON_BLOCKING},
      {api::jitErrorLogBuffer, CU_JIT_ERROR_LOG_BUFFER},
      {api::jitErrorLogBytes, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES}};
  for (const Pair &pair : pairs)
    EXPECT_EQ(pair.mine, pair.theirs) << &pair - pairs;
}

} // namespace

#else

TEST(CudaApiTest, NeedsTheHeader) { GTEST_SKIP() << "there is no cuda.h here"; }

#endif

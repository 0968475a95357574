// A bound function as kernel launches. The arguments of every launch are laid
// out once; what a call brings (inputs, the ragged batch) is gathered in pinned
// memory and copied in one piece to a fixed place, so that the launches are the
// same from call to call and are recorded as a graph at the second one.
//
//   step block:  | inputs … | token starts | context starts | page table |
//                | positions | logit rows |     each at a multiple of 256 bytes
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_CUDA_CUDAPROGRAM_H
#define QOPT_RUNTIME_CUDA_CUDAPROGRAM_H

#include "runtime/cuda/CudaDevice.h"

#include <vector>

namespace qopt::runtime {

class CudaProgram : public Program {
public:
  using Constants = std::map<uint32_t, std::shared_ptr<CudaMemory>>;

  static StatusOr<std::unique_ptr<Program>>
  create(std::shared_ptr<const BoundFunction> function,
         const Device::ModuleLookup &modules,
         std::shared_ptr<cuda::Driver> driver, Constants constants);
  Status launch(const LaunchMemory &memory) override;

private:
  /// Where an argument's value comes from with every call.
  struct Parameter {
    plan::ArgumentKind kind;
    uint32_t index;
    uint64_t value = 0; ///< what the kernel gets: an address or an i32
  };
  struct Call {
    cuda::Function function;
    cuda::LaunchShape shape;
    std::vector<Parameter> parameters;
    std::shared_ptr<Module> module;
  };
  /// Bytes of the step block, and where each part begins.
  struct Block {
    std::vector<size_t> inputs, outputs;
    size_t tokenStarts = 0, contextStarts = 0, pageTable = 0, positions = 0,
           logitRows = 0;
    size_t inputBytes = 0;  ///< what is copied in
    size_t outputBytes = 0; ///< what is copied out, a block of its own
  };

  CudaProgram(std::shared_ptr<const BoundFunction> function,
              std::shared_ptr<cuda::Driver> driver, Constants constants)
      : function(std::move(function)), driver(std::move(driver)),
        constants(std::move(constants)) {}

  Status addLaunch(const plan::Step &step, const Device::ModuleLookup &modules);
  Status chooseVariant(const plan::Step &step, Call &call,
                       const Device::ModuleLookup &modules);
  Status allocateBlocks();
  void gatherInputs(const LaunchMemory &memory);
  void gatherBatch(const DecoderState &state);
  /// Fills the addresses; true when one differs from the last call.
  bool fillArguments(const LaunchMemory &memory);
  uint64_t addressOf(const Parameter &parameter,
                     const LaunchMemory &memory) const;
  Status launchAll();
  Status copyOutputs(const LaunchMemory &memory);
  int64_t pageTableStride() const;

  std::shared_ptr<const BoundFunction> function;
  std::shared_ptr<cuda::Driver> driver;
  Constants constants;
  std::vector<Call> calls;
  Block layout;
  std::unique_ptr<CudaMemory> staging, stepBlock, results, stagedResults,
      counters;
  std::unique_ptr<cuda::DriverGraph> graph;
  bool launched = false;
};

} // namespace qopt::runtime

#endif // QOPT_RUNTIME_CUDA_CUDAPROGRAM_H

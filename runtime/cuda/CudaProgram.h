// A bound function as kernel launches. The arguments of every launch are laid
// out once; what a call brings (inputs, the ragged batch) is gathered in pinned
// memory and copied in one piece to a fixed place (StepLayout.h), so that the
// launches are the same from call to call and are recorded as a graph at the
// second one. Nothing is allocated here: sessions lend working memory.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_CUDA_CUDAPROGRAM_H
#define QOPT_RUNTIME_CUDA_CUDAPROGRAM_H

#include "runtime/cuda/CudaDevice.h"
#include "runtime/cuda/StepLayout.h"

#include <array>
#include <vector>

namespace qopt::runtime {

/// The variants of a step that this device can run, of the closest
/// architecture; empty where there are none.
std::vector<const plan::Variant *> variantsFor(const plan::Launch &launch,
                                               const cuda::DeviceFacts &facts);

class CudaProgram : public Program {
public:
  using Constants = std::map<uint32_t, std::shared_ptr<CudaMemory>>;

  static StatusOr<std::unique_ptr<Program>>
  create(std::shared_ptr<const BoundFunction> function,
         const Device::ModuleLookup &modules,
         std::shared_ptr<cuda::Driver> driver, Constants constants,
         LaunchMode mode);
  Status launch(const LaunchMemory &memory) override;

private:
  /// Where an argument's value comes from with every call.
  struct Parameter {
    plan::ArgumentKind kind;
    uint32_t index;
    uint64_t value = 0; ///< what the kernel gets: an address, an i32 or an i64
  };
  struct Call {
    const plan::Step *step;
    const plan::Variant *variant = nullptr;
    cuda::Function function;
    cuda::LaunchShape shape;
    int64_t weightBytes = 0; ///< that it reads
    std::vector<Parameter> parameters;
    std::shared_ptr<Module> module;
  };
  /// The launches of calls that ask for the same: tokens, drawn or not, or
  /// logits.
  struct Recorded {
    bool launched = false;
    size_t launches = 0; ///< of the graph
    std::unique_ptr<cuda::DriverGraph> graph;
  };

  CudaProgram(std::shared_ptr<const BoundFunction> function,
              std::shared_ptr<cuda::Driver> driver, Constants constants,
              LaunchMode mode)
      : function(std::move(function)), driver(std::move(driver)),
        constants(std::move(constants)), mode(mode),
        layout(StepLayout::of(*this->function)) {}

  Status addLaunch(const plan::Step &step, const Device::ModuleLookup &modules);
  Status addParameters(const plan::Step &step, Call &call);
  Status chooseVariant(const plan::Step &step, Call &call,
                       const Device::ModuleLookup &modules);
  /// Fills the staged step block; the bytes to copy of it.
  size_t gather(const LaunchMemory &memory, plan::StepUse use);
  void gatherBatch(uint8_t *block, const DecoderState &state);
  size_t gatherChoices(uint8_t *block, const DecoderState &state);
  /// Fills the addresses; true when one differs from the last call.
  bool fillArguments(const LaunchMemory &memory);
  uint64_t addressOf(const Parameter &parameter,
                     const LaunchMemory &memory) const;
  /// Those that a step with this use launches, in their order.
  std::vector<Call *> callsOf(plan::StepUse use);
  Status launchAll(cuda::DriverStream &stream, plan::StepUse use);
  Status launchRecorded(cuda::DriverStream &stream, plan::StepUse use);
  /// The error of the first launch that found an index outside.
  Status readReports(const uint8_t *reports) const;
  Status copyOutputs(cuda::DriverStream &stream, const LaunchMemory &memory);
  Status runStep(const LaunchMemory &memory, plan::StepUse use);
  /// Adds to a failure that came later than its cause which launches the
  /// stream had.
  Status nameInFlight(const Status &failure, plan::StepUse use);

  std::shared_ptr<const BoundFunction> function;
  std::shared_ptr<cuda::Driver> driver;
  Constants constants;
  LaunchMode mode;
  StepLayout layout;
  std::vector<Call> calls;
  std::vector<const plan::Step *> checks; ///< launches that check indices
  std::array<Recorded, 3> recorded;       ///< by plan::StepUse
  size_t inFlight = 0; ///< launches of this step that nobody waited for
};

} // namespace qopt::runtime

#endif // QOPT_RUNTIME_CUDA_CUDAPROGRAM_H

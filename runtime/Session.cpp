// Graph sessions: match the caller's tensors with the signature, run, hand
// back.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "qopt/Session.h"

#include "runtime/Devices.h"
#include "runtime/Executor.h"
#include "runtime/NamedTensors.h"

#include <algorithm>
#include <new>

namespace qopt {

class Session::Implementation {
public:
  Implementation(std::shared_ptr<const Artifact> artifact,
                 std::shared_ptr<runtime::Device> device)
      : artifact(std::move(artifact)),
        executor(this->artifact->model(), std::move(device),
                 uint32_t(this->artifact->functionIndex())) {}

  /// Finds every input by name, checks its type and rank, and binds the sizes.
  StatusOr<const runtime::BoundFunction *>
  bind(const std::vector<TensorView> &inputs);
  Status launch(const std::vector<void *> &outputs);

  std::shared_ptr<const Artifact> artifact;
  runtime::Executor executor;
  std::vector<void *> inputPointers;
};

StatusOr<const runtime::BoundFunction *>
Session::Implementation::bind(const std::vector<TensorView> &inputs) {
  auto given = runtime::matchInputs(artifact->inputs(), inputs);
  if (!given.ok())
    return given.status();
  inputPointers = std::move(given->pointers);
  return executor.bind(given->sizes);
}

Status Session::Implementation::launch(const std::vector<void *> &outputs) {
  runtime::LaunchMemory memory;
  memory.inputs = inputPointers;
  memory.outputs = outputs;
  return executor.run(memory);
}

static Status noMemory() {
  return Status(StatusCode::OutOfResources, "no memory to run the graph");
}

StatusOr<std::unique_ptr<Session>>
Session::create(std::shared_ptr<const Artifact> artifact,
                const SessionOptions &options) {
  try {
    if (artifact->isDecoder())
      return Status(StatusCode::InvalidArgument,
                    "artifact '" + artifact->path() +
                        "' is a decoder, which generates text; compile it "
                        "with --as graph to run it on tensors");
    if (artifact->functionIndex() < 0)
      return artifact->function("").status(); // which says what there is
    StatusOr<std::shared_ptr<runtime::Device>> device = runtime::openDevice(
        artifact->model()->plan(), options.device, options.threads);
    if (!device.ok())
      return device.status();
    auto session = std::make_unique<Implementation>(std::move(artifact),
                                                    std::move(*device));
    runtime::Executor &executor = session->executor;
    QOPT_RETURN_IF_ERROR(executor.loadCode());
    size_t weights = executor.device().constantBytes(executor.artifact(),
                                                     executor.function());
    QOPT_RETURN_IF_ERROR(
        executor.device().requireMemory(std::vector<runtime::MemoryPart>{
            {weights, "weights", "weights of fewer bits (--weights)"}}));
    QOPT_RETURN_IF_ERROR(executor.loadConstants());
    return std::unique_ptr<Session>(new Session(std::move(session)));
  } catch (const std::bad_alloc &) {
    return noMemory();
  }
}

Session::Session(std::unique_ptr<Implementation> implementation)
    : implementation(std::move(implementation)) {}
Session::~Session() = default;

const Artifact &Session::artifact() const { return *implementation->artifact; }
size_t Session::memory() const { return implementation->executor.memory(); }

StatusOr<std::vector<Tensor>>
Session::run(const std::vector<TensorView> &inputs) {
  try {
    StatusOr<const runtime::BoundFunction *> bound =
        implementation->bind(inputs);
    if (!bound.ok())
      return bound.status();
    std::vector<Tensor> results;
    std::vector<void *> pointers;
    const std::vector<TensorSpec> &specs = artifact().outputs();
    for (uint32_t i = 0; i < specs.size(); ++i) {
      results.emplace_back(specs[i].name, specs[i].type,
                           (*bound)->output(i).shape);
      pointers.push_back(results.back().data());
    }
    QOPT_RETURN_IF_ERROR(implementation->launch(pointers));
    return results;
  } catch (const std::bad_alloc &) {
    return noMemory();
  }
}

Status Session::run(const std::vector<TensorView> &inputs,
                    const std::vector<TensorView> &outputs) {
  try {
    StatusOr<const runtime::BoundFunction *> bound =
        implementation->bind(inputs);
    if (!bound.ok())
      return bound.status();
    const std::vector<TensorSpec> &specs = artifact().outputs();
    QOPT_RETURN_IF_ERROR(
        runtime::checkNames("output", outputs.size(), outputs, specs));
    std::vector<void *> pointers;
    for (uint32_t i = 0; i < specs.size(); ++i) {
      StatusOr<const TensorView *> view =
          runtime::findTensor("output", specs[i], outputs);
      if (!view.ok())
        return view.status();
      const runtime::BoundValue &value = (*bound)->output(i);
      if (!(*view)->data && value.elements > 0)
        return Status(StatusCode::InvalidArgument,
                      "output \"" + specs[i].name + "\" has no data");
      if ((*view)->shape != value.shape)
        return Status(StatusCode::InvalidArgument,
                      "output \"" + specs[i].name + "\" has shape " +
                          spell((*view)->shape) + "; expected " +
                          spell(value.shape));
      pointers.push_back((*view)->data);
    }
    return implementation->launch(pointers);
  } catch (const std::bad_alloc &) {
    return noMemory();
  }
}

} // namespace qopt

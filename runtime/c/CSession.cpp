// The C interface: errors, artifacts and graph sessions.
// NOLINTBEGIN(readability-identifier-naming): the names are those of qopt.h.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/c/Handles.h"
#include "runtime/c/Structs.h"

#include <algorithm>
#include <cstring>

using namespace qopt;
using namespace qopt::c;

static_assert(int(StatusCode::DeviceFailed) == QOPT_DEVICE_FAILED &&
              int(StatusCode::BadArtifact) == QOPT_BAD_ARTIFACT &&
              int(DType::Bool) == QOPT_BOOL && int(DType::U2) == QOPT_U2);

static thread_local std::string lastError;

qopt_status qopt::c::report(const Status &status) {
  if (status.ok())
    return QOPT_OK;
  try {
    lastError = status.message();
  } catch (...) {
    lastError.clear();
  }
  return qopt_status(status.code());
}

const char *qopt_last_error(void) { return lastError.c_str(); }
const char *qopt_version(void) { return QOPT_VERSION; }

static std::vector<std::vector<const char *>>
dimensionsOf(const std::vector<TensorSpec> &specs) {
  std::vector<std::vector<const char *>> result;
  for (const TensorSpec &spec : specs) {
    result.emplace_back();
    for (const std::string &dimension : spec.shape)
      result.back().push_back(dimension.c_str());
  }
  return result;
}

static qopt_artifact *handleOf(std::shared_ptr<const Artifact> artifact) {
  auto handle = std::make_unique<qopt_artifact>();
  handle->inputDimensions = dimensionsOf(artifact->inputs());
  handle->outputDimensions = dimensionsOf(artifact->outputs());
  handle->artifact = std::move(artifact);
  return handle.release();
}

qopt_status qopt_artifact_open(const char *path, int flags,
                               qopt_artifact **artifact) {
  return guarded([&]() -> Status {
    if (!path || !artifact)
      return missing(path ? "artifact" : "path");
    if (flags & ~QOPT_OPEN_TRUSTED)
      return Status(StatusCode::InvalidArgument,
                    "flags is " + std::to_string(flags) +
                        "; expected QOPT_OPEN_CHECKED (0) or "
                        "QOPT_OPEN_TRUSTED (1)");
    OpenOptions options;
    options.trust = (flags & QOPT_OPEN_TRUSTED) != 0;
    StatusOr<std::shared_ptr<const Artifact>> opened =
        Artifact::open(path, options);
    if (!opened.ok())
      return opened.status();
    *artifact = handleOf(std::move(*opened));
    return {};
  });
}

void qopt_artifact_release(qopt_artifact *artifact) { delete artifact; }

size_t qopt_artifact_function_count(const qopt_artifact *artifact) {
  return artifact ? artifact->artifact->functions().size() : 0;
}

const char *qopt_artifact_function_name(const qopt_artifact *artifact,
                                        size_t index) {
  return index < qopt_artifact_function_count(artifact)
             ? artifact->artifact->functions()[index].c_str()
             : nullptr;
}

qopt_status qopt_artifact_function(const qopt_artifact *artifact,
                                   const char *name, qopt_artifact **function) {
  return guarded([&]() -> Status {
    if (!artifact || !name || !function)
      return missing(!artifact ? "artifact" : !name ? "name" : "function");
    StatusOr<std::shared_ptr<const Artifact>> chosen =
        artifact->artifact->function(name);
    if (!chosen.ok())
      return chosen.status();
    *function = handleOf(std::move(*chosen));
    return {};
  });
}

int qopt_artifact_is_decoder(const qopt_artifact *artifact) {
  return artifact && artifact->artifact->isDecoder();
}

size_t qopt_artifact_input_count(const qopt_artifact *artifact) {
  return artifact ? artifact->artifact->inputs().size() : 0;
}

size_t qopt_artifact_output_count(const qopt_artifact *artifact) {
  return artifact ? artifact->artifact->outputs().size() : 0;
}

static Status fillSpec(const std::vector<TensorSpec> &specs,
                       const std::vector<std::vector<const char *>> &dimensions,
                       size_t index, qopt_tensor_spec *spec) {
  if (!spec)
    return missing("spec");
  if (index >= specs.size())
    return Status(StatusCode::InvalidArgument,
                  "index " + std::to_string(index) + " of " +
                      std::to_string(specs.size()) + " tensors");
  return writeStruct<qopt_tensor_spec>(
      "the specification",
      {sizeof(qopt_tensor_spec), specs[index].name.c_str(),
       qopt_dtype(specs[index].type), dimensions[index].size(),
       dimensions[index].data()},
      spec);
}

qopt_status qopt_artifact_input(const qopt_artifact *artifact, size_t index,
                                qopt_tensor_spec *spec) {
  return guarded([&]() -> Status {
    if (!artifact)
      return missing("artifact");
    return fillSpec(artifact->artifact->inputs(), artifact->inputDimensions,
                    index, spec);
  });
}

qopt_status qopt_artifact_output(const qopt_artifact *artifact, size_t index,
                                 qopt_tensor_spec *spec) {
  return guarded([&]() -> Status {
    if (!artifact)
      return missing("artifact");
    return fillSpec(artifact->artifact->outputs(), artifact->outputDimensions,
                    index, spec);
  });
}

qopt_status qopt_artifact_decoder(const qopt_artifact *artifact,
                                  qopt_decoder_spec *spec) {
  return guarded([&]() -> Status {
    if (!artifact || !spec)
      return missing(artifact ? "spec" : "artifact");
    const DecoderSpec &decoder = artifact->artifact->decoder();
    return writeStruct<qopt_decoder_spec>(
        "the specification",
        {sizeof(qopt_decoder_spec), decoder.layers, decoder.vocabulary,
         decoder.context, decoder.cacheBytesPerToken, decoder.beginToken,
         decoder.source},
        spec);
  });
}

qopt_status qopt_session_create(const qopt_artifact *artifact, int threads,
                                const char *device, qopt_session **session) {
  return guarded([&]() -> Status {
    if (!artifact || !session)
      return missing(artifact ? "session" : "artifact");
    SessionOptions options;
    options.threads = threads;
    options.device = device ? device : "";
    StatusOr<std::unique_ptr<Session>> created =
        Session::create(artifact->artifact, options);
    if (!created.ok())
      return created.status();
    *session = new qopt_session{std::move(*created)};
    return {};
  });
}

void qopt_session_release(qopt_session *session) { delete session; }

/// One tensor of an array. The shape is read when the rank is known to be the
/// model's; of a name that the model lacks nothing is read.
static StatusOr<TensorView> viewOf(const qopt_tensor &tensor,
                                   const std::vector<TensorSpec> &specs) {
  if (!tensor.name)
    return missing("a tensor's name");
  TensorView view;
  view.name = tensor.name;
  auto spec =
      std::find_if(specs.begin(), specs.end(), [&](const TensorSpec &known) {
        return known.name == view.name;
      });
  if (spec == specs.end())
    return view;
  std::string named = "tensor \"" + view.name + "\"";
  int dtype; // a caller of C may have written any number
  static_assert(sizeof(dtype) == sizeof(tensor.dtype));
  std::memcpy(&dtype, &tensor.dtype, sizeof(dtype));
  if (dtype < QOPT_F32 || dtype > QOPT_U2)
    return Status(StatusCode::InvalidArgument,
                  named + " has the unknown type " + std::to_string(dtype));
  if (tensor.rank != spec->shape.size())
    return Status(StatusCode::InvalidArgument,
                  named + " has rank " + std::to_string(tensor.rank) +
                      "; expected " + std::to_string(spec->shape.size()));
  if (!tensor.shape && tensor.rank > 0)
    return missing(("the shape of " + named).c_str());
  view.type = DType(dtype);
  view.shape.assign(tensor.shape, tensor.shape + tensor.rank);
  view.data = tensor.data;
  return view;
}

StatusOr<std::vector<TensorView>>
qopt::c::viewsOf(const qopt_tensor *tensors, size_t count,
                 const std::vector<TensorSpec> &specs) {
  std::vector<TensorView> views;
  if (!tensors && count > 0)
    return missing("tensors");
  const auto *bytes = reinterpret_cast<const unsigned char *>(tensors);
  for (size_t i = 0; i < std::min(count, specs.size() + 1); ++i) {
    const auto *given =
        reinterpret_cast<const qopt_tensor *>(bytes + i * tensors->struct_size);
    if (given->struct_size != tensors->struct_size)
      return Status(StatusCode::InvalidArgument,
                    "tensor " + std::to_string(i) + " has struct_size " +
                        std::to_string(given->struct_size) +
                        "; expected that of the first, " +
                        std::to_string(tensors->struct_size));
    StatusOr<qopt_tensor> tensor =
        readStruct<qopt_tensor>("a tensor", given, {});
    if (!tensor.ok())
      return tensor.status();
    StatusOr<TensorView> view = viewOf(*tensor, specs);
    if (!view.ok())
      return view.status();
    views.push_back(std::move(*view));
  }
  return views;
}

qopt_status qopt_session_run(qopt_session *session, const qopt_tensor *inputs,
                             size_t input_count, qopt_results **results) {
  return guarded([&]() -> Status {
    if (!session || !results)
      return missing(session ? "results" : "session");
    StatusOr<std::vector<TensorView>> views =
        viewsOf(inputs, input_count, session->session->artifact().inputs());
    if (!views.ok())
      return views.status();
    StatusOr<std::vector<Tensor>> tensors = session->session->run(*views);
    if (!tensors.ok())
      return tensors.status();
    *results = new qopt_results{std::move(*tensors)};
    return {};
  });
}

qopt_status qopt_session_run_into(qopt_session *session,
                                  const qopt_tensor *inputs, size_t input_count,
                                  const qopt_tensor *outputs,
                                  size_t output_count) {
  return guarded([&]() -> Status {
    if (!session)
      return missing("session");
    StatusOr<std::vector<TensorView>> from =
        viewsOf(inputs, input_count, session->session->artifact().inputs());
    if (!from.ok())
      return from.status();
    StatusOr<std::vector<TensorView>> to =
        viewsOf(outputs, output_count, session->session->artifact().outputs());
    if (!to.ok())
      return to.status();
    return session->session->run(*from, *to);
  });
}

size_t qopt_results_count(const qopt_results *results) {
  return results ? results->tensors.size() : 0;
}

qopt_status qopt_results_get(const qopt_results *results, size_t index,
                             qopt_tensor *tensor) {
  return guarded([&]() -> Status {
    if (!results || !tensor)
      return missing(results ? "tensor" : "results");
    if (index >= results->tensors.size())
      return Status(StatusCode::InvalidArgument,
                    "index " + std::to_string(index) + " of " +
                        std::to_string(results->tensors.size()) + " results");
    const Tensor &result = results->tensors[index];
    return writeStruct<qopt_tensor>(
        "the tensor",
        {sizeof(qopt_tensor), result.name().c_str(), qopt_dtype(result.type()),
         result.shape().size(), result.shape().data(), result.data()},
        tensor);
  });
}

void qopt_results_release(qopt_results *results) { delete results; }
// NOLINTEND(readability-identifier-naming)

// The C interface: errors, artifacts and graph sessions.
// NOLINTBEGIN(readability-identifier-naming): the names are those of qopt.h.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/c/Handles.h"

using namespace qopt;
using namespace qopt::c;

static_assert(int(StatusCode::Unwritable) == QOPT_UNWRITABLE &&
              int(StatusCode::BadArtifact) == QOPT_BAD_ARTIFACT &&
              int(DType::Bool) == QOPT_BOOL);

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
    auto handle = std::make_unique<qopt_artifact>();
    handle->inputDimensions = dimensionsOf((*opened)->inputs());
    handle->outputDimensions = dimensionsOf((*opened)->outputs());
    handle->artifact = std::move(*opened);
    *artifact = handle.release();
    return {};
  });
}

void qopt_artifact_release(qopt_artifact *artifact) { delete artifact; }

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
  *spec = {specs[index].name.c_str(), qopt_dtype(specs[index].type),
           dimensions[index].size(), dimensions[index].data()};
  return {};
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
    *spec = {decoder.layers, decoder.vocabulary, decoder.context,
             decoder.cacheBytesPerToken, decoder.beginToken};
    return {};
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

static StatusOr<std::vector<TensorView>> viewsOf(const qopt_tensor *tensors,
                                                 size_t count) {
  std::vector<TensorView> views;
  if (!tensors && count > 0)
    return missing("tensors");
  for (size_t i = 0; i < count; ++i) {
    const qopt_tensor &tensor = tensors[i];
    if (!tensor.name || (!tensor.shape && tensor.rank > 0))
      return missing(tensor.name ? "a tensor's shape" : "a tensor's name");
    if (int(tensor.dtype) < QOPT_F32 || int(tensor.dtype) > QOPT_BOOL)
      return Status(StatusCode::InvalidArgument,
                    std::string("tensor \"") + tensor.name +
                        "\" has the unknown type " +
                        std::to_string(int(tensor.dtype)));
    views.push_back(
        {tensor.name, DType(tensor.dtype),
         std::vector<int64_t>(tensor.shape, tensor.shape + tensor.rank),
         tensor.data});
  }
  return views;
}

qopt_status qopt_session_run(qopt_session *session, const qopt_tensor *inputs,
                             size_t input_count, qopt_results **results) {
  return guarded([&]() -> Status {
    if (!session || !results)
      return missing(session ? "results" : "session");
    StatusOr<std::vector<TensorView>> views = viewsOf(inputs, input_count);
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
    StatusOr<std::vector<TensorView>> from = viewsOf(inputs, input_count);
    if (!from.ok())
      return from.status();
    StatusOr<std::vector<TensorView>> to = viewsOf(outputs, output_count);
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
    *tensor = {result.name().c_str(), qopt_dtype(result.type()),
               result.shape().size(), result.shape().data(), result.data()};
    return {};
  });
}

void qopt_results_release(qopt_results *results) { delete results; }
// NOLINTEND(readability-identifier-naming)

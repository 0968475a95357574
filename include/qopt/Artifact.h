// A compiled model, opened: the file is mapped and checked once and can then
// serve any number of sessions, on any number of threads. Everything about it
// is read only.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_ARTIFACT_H
#define QOPT_ARTIFACT_H

#include "qopt/Export.h"
#include "qopt/Sampling.h"
#include "qopt/Status.h"
#include "qopt/Tensor.h"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace qopt {
namespace runtime {
class LoadedModel;
} // namespace runtime

/// What a tensor of a graph's signature must be. A dimension is spelt as the
/// model has it: "64", "batch", "past + seq".
struct TensorSpec {
  std::string name;
  DType type = DType::F32;
  std::vector<std::string> shape;
};

/// Sizes of a decoder.
struct DecoderSpec {
  int64_t layers = 0;
  int64_t vocabulary = 0;
  int64_t context = 0; ///< longest sequence, prompt included
  /// Of an encoder-decoder the most positions that its encoder may make of a
  /// source; 0: it is none.
  int64_t source = 0;
  int64_t cacheBytesPerToken = 0;
  /// What a sequence needs beside its tokens: keys that have no codes yet.
  int64_t cacheBytesPerSequence = 0;
  std::vector<int32_t> endTokens;
  int32_t beginToken = -1; ///< -1: none
  /// How the files beside the model say that tokens are chosen.
  SamplingOptions sampling;
  /// Text in Jinja that makes a prompt of messages; empty: there is none.
  std::string chatTemplate;
};

struct OpenOptions {
  /// Leaves out the digests of weights and code: for a file that was checked
  /// before and cannot have changed since. Structure, plan and header are
  /// always checked.
  bool trust = false;
  /// What `path` and messages call the artifact; empty: by its file.
  std::string name = {};
};

class QOPT_API Artifact {
public:
  /// NotFound, or BadArtifact for a file that is damaged, cut short, or of
  /// another format version.
  static StatusOr<std::shared_ptr<const Artifact>>
  open(const std::string &path, const OpenOptions &options = {});
  ~Artifact();

  /// The file, or the name it was opened with.
  const std::string &path() const;
  /// A decoder generates text through Engine.h; every other artifact is a graph
  /// for Session.h.
  bool isDecoder() const;
  /// The graphs of a model of several files, "encoder", "decoder" and
  /// "decoder_with_past", or a decoder's "step" and "encode"; one of every
  /// other artifact.
  const std::vector<std::string> &functions() const;
  /// The same artifact, opened once, for its graph `name`: inputs, outputs and
  /// sessions are those of that graph. Without a name the only one.
  /// InvalidArgument, with all names, where there is none or a choice.
  StatusOr<std::shared_ptr<const Artifact>>
  function(const std::string &name) const;
  /// Of a graph, and empty while none of several is chosen; of a decoder what
  /// its encoder takes, if it has one.
  const std::vector<TensorSpec> &inputs() const;
  const std::vector<TensorSpec> &outputs() const;
  /// Of a decoder; zeros for a graph.
  const DecoderSpec &decoder() const;
  /// The text of tokenizer.json; empty when there is none.
  std::string_view tokenizerJson() const;
  /// The release of qopt that made it.
  std::string compilerVersion() const;
  /// What it was compiled for, "host/x86-64-v3".
  std::string target() const;
  /// Bytes of the file.
  size_t bytes() const;

  const std::shared_ptr<const runtime::LoadedModel> &model() const {
    return loaded;
  }
  /// Of the chosen graph among functions(); -1: none of several is.
  int32_t functionIndex() const { return chosen; }

private:
  explicit Artifact(std::shared_ptr<const runtime::LoadedModel> loaded);
  std::shared_ptr<const runtime::LoadedModel> loaded;
  void choose(int32_t index);

  std::string shownPath;
  std::vector<std::string> functionNames;
  int32_t chosen = 0;
  std::vector<TensorSpec> inputSpecs, outputSpecs;
  DecoderSpec decoderSpec;
};

} // namespace qopt

#endif // QOPT_ARTIFACT_H

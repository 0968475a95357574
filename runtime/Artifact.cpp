// The public view of an artifact: signature and sizes in the caller's terms.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "qopt/Artifact.h"

#include "runtime/Devices.h"
#include "runtime/LoadedModel.h"

#include <new>

namespace qopt {
namespace {

static_assert(uint8_t(plan::DType::Bool) == uint8_t(DType::Bool) &&
              uint8_t(plan::DType::F8E8M0) == uint8_t(DType::F8E8M0) &&
              uint8_t(plan::DType::MAX) == uint8_t(DType::U2) &&
              uint8_t(plan::DType::I64) == uint8_t(DType::I64));

std::string text(const flatbuffers::String *string) {
  return string ? string->str() : std::string();
}

std::vector<TensorSpec> specsOf(const plan::Function &function,
                                const flatbuffers::Vector<uint32_t> *values) {
  std::vector<TensorSpec> specs;
  if (!values)
    return specs;
  for (uint32_t id : *values) {
    const plan::Value &value = *function.values()->Get(id);
    TensorSpec spec;
    spec.name = text(value.name());
    spec.type = DType(value.dtype());
    if (value.shape())
      for (uint32_t symbol : *value.shape())
        spec.shape.push_back(runtime::spellSymbol(function, symbol));
    specs.push_back(std::move(spec));
  }
  return specs;
}

} // namespace

static StatusOr<DecoderSpec> decoderSpecOf(const plan::Plan &plan) {
  const plan::Decoder &decoder = *plan.decoder();
  DecoderSpec spec;
  spec.vocabulary = decoder.vocabulary();
  spec.context = decoder.context();
  spec.source = decoder.source();
  spec.beginToken = decoder.begin_token();
  if (decoder.end_tokens())
    spec.endTokens.assign(decoder.end_tokens()->begin(),
                          decoder.end_tokens()->end());
  if (const plan::Sampling *sampling = decoder.sampling())
    spec.sampling = {.temperature = sampling->temperature(),
                     .topK = int32_t(sampling->top_k()),
                     .topP = sampling->top_p(),
                     .minP = sampling->min_p(),
                     .repetitionPenalty = sampling->repetition_penalty()};
  if (Status status = checkSampling(spec.sampling); !status.ok())
    return Status(StatusCode::BadArtifact,
                  "the model's own sampling: " + status.message());
  if (decoder.chat_template())
    spec.chatTemplate = decoder.chat_template()->str();
  if (decoder.layers())
    for (const plan::CacheLayer *layer : *decoder.layers()) {
      StatusOr<runtime::CacheSizes> sizes = runtime::cacheSizes(plan, *layer);
      if (!sizes.ok())
        return sizes.status();
      spec.cacheBytesPerToken += sizes->page / decoder.page();
      spec.cacheBytesPerSequence += sizes->slot;
      ++spec.layers;
    }
  return spec;
}

StatusOr<std::shared_ptr<const Artifact>>
Artifact::open(const std::string &path, const OpenOptions &options) {
  try {
    StatusOr<std::shared_ptr<const runtime::ArtifactFile>> file =
        runtime::ArtifactFile::open(path, options.trust
                                              ? runtime::Integrity::Trust
                                              : runtime::Integrity::Check);
    if (!file.ok())
      return file.status();
    auto artifact = std::shared_ptr<Artifact>(
        new Artifact(std::make_shared<runtime::LoadedModel>(*file)));
    artifact->shownPath = options.name.empty() ? path : options.name;
    const plan::Plan &plan = (*file)->plan();
    if (!plan.functions() || plan.functions()->size() == 0)
      return Status(StatusCode::BadArtifact,
                    "artifact '" + path + "' has no function to run");
    if (plan.decoder()) {
      StatusOr<DecoderSpec> spec = decoderSpecOf(plan);
      if (!spec.ok())
        return Status(spec.status().code(),
                      "artifact '" + path + "': " + spec.status().message());
      artifact->decoderSpec = std::move(*spec);
    }
    for (const plan::Function *function : *plan.functions())
      artifact->functionNames.push_back(text(function->name()));
    artifact->choose(artifact->functionNames.size() == 1 ? 0 : -1);
    return std::shared_ptr<const Artifact>(std::move(artifact));
  } catch (const std::bad_alloc &) {
    return Status(StatusCode::OutOfResources,
                  "no memory to open '" + path + "'");
  }
}

Artifact::Artifact(std::shared_ptr<const runtime::LoadedModel> loaded)
    : loaded(std::move(loaded)) {}
Artifact::~Artifact() = default;

void Artifact::choose(int32_t index) {
  chosen = index;
  if (isDecoder())
    index = loaded->plan().decoder()->encoder();
  if (index < 0)
    return;
  const plan::Function &function =
      *loaded->plan().functions()->Get(uint32_t(index));
  inputSpecs = specsOf(function, function.inputs());
  outputSpecs = specsOf(function, function.outputs());
}

/// "a", "b" or "c", with `last` before the last one.
static std::string listOf(const std::vector<std::string> &names,
                          const char *last) {
  std::string list;
  for (const std::string &name : names) {
    if (!list.empty())
      list += &name == &names.back() ? last : ", ";
    list += "\"" + name + "\"";
  }
  return list;
}

StatusOr<std::shared_ptr<const Artifact>>
Artifact::function(const std::string &name) const {
  try {
    for (size_t i = 0; i < functionNames.size(); ++i) {
      if (name.empty() ? functionNames.size() > 1 : functionNames[i] != name)
        continue;
      std::shared_ptr<Artifact> view(new Artifact(loaded));
      view->shownPath = shownPath;
      view->functionNames = functionNames;
      view->decoderSpec = decoderSpec;
      view->choose(int32_t(i));
      return std::shared_ptr<const Artifact>(std::move(view));
    }
    std::string says =
        name.empty()
            ? "has several functions; choose " + listOf(functionNames, " or ")
            : "has no function \"" + name + "\"; it has " +
                  listOf(functionNames, " and ");
    return Status(StatusCode::InvalidArgument,
                  "artifact '" + shownPath + "' " + says);
  } catch (const std::bad_alloc &) {
    return Status(StatusCode::OutOfResources,
                  "no memory to open '" + shownPath + "'");
  }
}

const std::string &Artifact::path() const { return shownPath; }
const std::vector<std::string> &Artifact::functions() const {
  return functionNames;
}
bool Artifact::isDecoder() const { return loaded->plan().decoder() != nullptr; }
const std::vector<TensorSpec> &Artifact::inputs() const { return inputSpecs; }
const std::vector<TensorSpec> &Artifact::outputs() const { return outputSpecs; }
const DecoderSpec &Artifact::decoder() const { return decoderSpec; }
size_t Artifact::bytes() const { return loaded->file()->size(); }

std::string_view Artifact::tokenizerJson() const {
  std::span<const uint8_t> bytes = loaded->file()->tokenizer();
  return {reinterpret_cast<const char *>(bytes.data()), bytes.size()};
}

std::string Artifact::compilerVersion() const {
  return text(loaded->plan().manifest()->compiler_version());
}

std::string Artifact::target() const {
  return text(loaded->plan().manifest()->target());
}

} // namespace qopt

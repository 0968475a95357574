// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tools/qopt-inspect/DescribeArtifact.h"

#include "lib/Quant/Storage.h"
#include "runtime/LoadedModel.h"
#include "runtime/plan/PlanFormat.h"

#include <cmath>
#include <set>

namespace qopt::inspect {

static std::string text(const flatbuffers::String *string) {
  return string ? string->str() : std::string();
}

static std::string hex(const flatbuffers::Vector<uint8_t> *bytes) {
  static const char digits[] = "0123456789abcdef";
  std::string result;
  if (bytes)
    for (uint8_t byte : *bytes) {
      result += digits[byte >> 4];
      result += digits[byte & 15];
    }
  return result;
}

Json describeManifest(const Artifact &artifact) {
  const plan::Manifest &manifest = *artifact.model()->plan().manifest();
  Json json = {{"file", artifact.path()},
               {"bytes", artifact.bytes()},
               {"compiler_version", artifact.compilerVersion()},
               {"target", artifact.target()},
               {"source_name", text(manifest.source_name())},
               {"source_sha256", hex(manifest.source_sha256())},
               {"options", Json::object()},
               {"seeds", Json::array()},
               {"tokenizer_bytes", artifact.tokenizerJson().size()}};
  if (manifest.options())
    for (const plan::Option *option : *manifest.options())
      json["options"][text(option->name())] = text(option->value());
  if (manifest.seeds())
    for (uint64_t seed : *manifest.seeds())
      json["seeds"].push_back(seed);
  return json;
}

/// Layers whose keys lie ahead of their rotation.
static std::set<uint32_t> rotatingLayers(const plan::Plan &plan) {
  std::set<uint32_t> layers;
  for (uint32_t i = 0; plan.functions() && i < plan.functions()->size(); ++i)
    if (auto *steps = plan.functions()->Get(i)->steps())
      for (const plan::Step *step : *steps)
        if (auto *attention = step->operation_as_CachedAttention();
            attention && attention->key_frequencies() >= 0)
          layers.insert(attention->layer());
  return layers;
}

static Json describeCache(const plan::Plan &plan) {
  const plan::Decoder &decoder = *plan.decoder();
  std::set<uint32_t> rotating = rotatingLayers(plan);
  Json layers = Json::array();
  if (decoder.layers())
    for (const plan::CacheLayer *layer : *decoder.layers()) {
      quant::Format key = runtime::toFormat(*layer->key());
      quant::Format value = runtime::toFormat(*layer->value());
      layers.push_back(
          {{"kv_heads", layer->kv_heads()},
           {"key_size", layer->key_size()},
           {"value_size", layer->value_size()},
           {"key", quant::spell(key)},
           {"value", quant::spell(value)},
           {"window", layer->window()},
           {"recent", layer->recent()},
           {"first", layer->first()},
           {"source", layer->source()},
           {"before_rotary", rotating.count(uint32_t(layers.size())) > 0}});
    }
  return layers;
}

static Json describeTensors(const std::vector<TensorSpec> &specs) {
  Json tensors = Json::array();
  for (const TensorSpec &spec : specs)
    tensors.push_back({{"name", spec.name},
                       {"type", spell(spec.type)},
                       {"shape", spec.shape}});
  return tensors;
}

/// What the model's files say of how tokens are chosen; empty: nothing.
static Json describeSampling(const SamplingOptions &sampling) {
  Json json = Json::object();
  const SamplingOptions usual;
  auto add = [&](const char *name, float value, float usually) {
    if (value != usually)
      json[name] = std::round(double(value) * 1e6) / 1e6; // 0.6, not its f32
  };
  add("temperature", sampling.temperature, usual.temperature);
  if (sampling.topK != usual.topK)
    json["top_k"] = sampling.topK;
  add("top_p", sampling.topP, usual.topP);
  add("min_p", sampling.minP, usual.minP);
  add("repetition_penalty", sampling.repetitionPenalty,
      usual.repetitionPenalty);
  return json;
}

/// The signatures of the graphs of a model of several files.
static StatusOr<Json> describeGraphs(const Artifact &artifact) {
  Json graphs = Json::array();
  for (const std::string &name : artifact.functions()) {
    auto graph = artifact.function(name);
    if (!graph.ok())
      return graph.status();
    graphs.push_back({{"name", name},
                      {"inputs", describeTensors((*graph)->inputs())},
                      {"outputs", describeTensors((*graph)->outputs())}});
  }
  return Json{{"kind", "graphs"}, {"graphs", std::move(graphs)}};
}

StatusOr<Json> describeModel(const Artifact &artifact) {
  if (!artifact.isDecoder() && artifact.functionIndex() < 0)
    return describeGraphs(artifact);
  if (!artifact.isDecoder())
    return Json{{"kind", "graph"},
                {"inputs", describeTensors(artifact.inputs())},
                {"outputs", describeTensors(artifact.outputs())}};
  const plan::Decoder &decoder = *artifact.model()->plan().decoder();
  const DecoderSpec &spec = artifact.decoder();
  // `source`: positions of the longest, of which `inputs` are encoded.
  return Json{{"kind", "decoder"},
              {"inputs", describeTensors(artifact.inputs())},
              {"source", spec.source},
              {"layers", spec.layers},
              {"vocabulary", spec.vocabulary},
              {"context", spec.context},
              {"begin_token", spec.beginToken},
              {"end_tokens", spec.endTokens},
              {"sampling", describeSampling(spec.sampling)},
              {"chat_template", spec.chatTemplate},
              {"cache_page", decoder.page()},
              {"cache_bytes_per_token", spec.cacheBytesPerToken},
              {"cache_bytes_per_sequence", spec.cacheBytesPerSequence},
              {"cache_layers", describeCache(artifact.model()->plan())}};
}

namespace {

/// Sums over weights.
struct Tally {
  int64_t weights = 0, parameters = 0;
  uint64_t bytes = 0;
  double payload = 0, canonical = 0; ///< bits

  void add(const Tally &other) {
    weights += other.weights;
    parameters += other.parameters;
    bytes += other.bytes;
    payload += other.payload;
    canonical += other.canonical;
  }
  Json json() const {
    double count = parameters ? double(parameters) : 1;
    return {{"weights", weights},
            {"parameters", parameters},
            {"bytes", bytes},
            {"payload_bits", payload / count},
            {"stored_bits", canonical / count},
            {"packed_bits", 8 * double(bytes) / count}};
  }
};

} // namespace

Json describeWeights(const plan::Plan &plan) {
  Json list = Json::array();
  Tally total;
  std::map<std::string, Tally> formats;
  if (const auto *weights = plan.manifest()->weights())
    for (const plan::WeightRecord *weight : *weights) {
      quant::Format format = runtime::toFormat(*weight->format());
      int64_t rows = weight->rows(), columns = weight->columns();
      Tally tally{1, rows * columns, weight->bytes()};
      tally.payload = quant::payloadBits(format) * double(tally.parameters);
      tally.canonical =
          quant::storedBits(format, rows, columns) * double(tally.parameters);
      total.add(tally);
      formats[quant::spell(format)].add(tally);
      Json entry = {{"name", text(weight->name())},
                    {"rows", rows},
                    {"columns", columns},
                    {"format", quant::spell(format)},
                    {"layout", plan::EnumNameWeightLayout(weight->layout())},
                    {"segment", weight->segment()}};
      entry.update(tally.json());
      entry.erase("weights");
      entry["reason"] = text(weight->reason());
      list.push_back(std::move(entry));
    }
  Json json = total.json();
  json["formats"] = Json::object();
  for (const auto &[name, tally] : formats)
    json["formats"][name] = tally.json();
  json["list"] = std::move(list);
  return json;
}

Json describeKernels(const plan::Plan &plan) {
  Json list = Json::array();
  if (const auto *kernels = plan.manifest()->kernels())
    for (const plan::KernelRecord *kernel : *kernels)
      list.push_back({{"symbol", text(kernel->symbol())},
                      {"family", text(kernel->family())},
                      {"schedule", text(kernel->schedule())},
                      {"segment", kernel->segment()},
                      {"threads", kernel->threads()},
                      {"registers", kernel->registers()},
                      {"shared_bytes", kernel->shared_bytes()},
                      {"code_bytes", kernel->code_bytes()}});
  return list;
}

Json describeSegments(const plan::Plan &plan) {
  Json segments = Json::array();
  if (plan.segments())
    for (const plan::Segment *segment : *plan.segments())
      segments.push_back({{"kind", plan::EnumNameSegmentKind(segment->kind())},
                          {"name", text(segment->name())},
                          {"offset", segment->offset()},
                          {"bytes", segment->size()},
                          {"sha256", hex(segment->sha256())}});
  return segments;
}

} // namespace qopt::inspect

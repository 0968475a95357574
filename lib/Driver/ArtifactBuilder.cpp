// The order of segments follows the order of steps; the plan comes last.
// Nothing here depends on time, folder or the number of threads.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/ArtifactBuilder.h"
#include "dialects/Onnx/NodeLocation.h"
#include "lib/Codegen/Host/HostCodegen.h"
#include "lib/Driver/ArtifactConstants.h"
#include "lib/Driver/CudaEmission.h"
#include "lib/Driver/CudaSampling.h"
#include "lib/Driver/CudaSteps.h"
#include "lib/Driver/ModelChecks.h"
#include "lib/Driver/PlanBuilder.h"
#include "lib/Driver/Validation.h"
#include "lib/Driver/WeightRounder.h"
#include "lib/Tokens/NamedText.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "passes/Schedule/SumOrders.h"
#include "qopt/Tokenizer.h"
#include "qopt/Version.h"
#include "runtime/ArtifactWriter.h"
#include "runtime/Sha256.h"
#include "runtime/plan/EvidenceFormat.h"
#include "runtime/plan/PlanFormat.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include <algorithm>

using namespace mlir;

namespace qopt::driver {

static StatusOr<std::vector<uint8_t>> digestOf(const std::string &path) {
  auto file = llvm::MemoryBuffer::getFile(path, /*IsText=*/false,
                                          /*RequiresNullTerminator=*/false);
  if (!file)
    return Status(StatusCode::NotFound, "cannot read \"" + path + "\"");
  auto text = (*file)->getBuffer();
  runtime::Digest digest = runtime::Sha256::of(text.data(), text.size());
  return std::vector<uint8_t>(digest.begin(), digest.end());
}

static std::string spellLimit(const std::optional<double> &limit) {
  return limit ? llvm::formatv("{0}", *limit).str() : "";
}

/// The name and the file's, without folders.
static std::string recordedText(const std::string &given) {
  NamedText text = splitName(given);
  std::string file = llvm::sys::path::filename(text.path).str();
  return text.name == text.path ? file : text.name + "=" + file;
}

using NamedValues = std::vector<std::pair<std::string, std::string>>;

/// Those that say something, sorted by name.
static std::vector<std::unique_ptr<plan::OptionT>>
sortedOptions(NamedValues entries) {
  llvm::erase_if(entries, [](auto &entry) { return entry.second.empty(); });
  std::sort(entries.begin(), entries.end());
  std::vector<std::unique_ptr<plan::OptionT>> result;
  for (auto &[name, value] : entries) {
    auto option = std::make_unique<plan::OptionT>();
    option->name = name;
    option->value = value;
    result.push_back(std::move(option));
  }
  return result;
}

/// The options that change the artifact's content, as they were given; what was
/// left to the default says nothing.
static std::vector<std::unique_ptr<plan::OptionT>>
recordedOptions(const CompileOptions &options) {
  bool gpu = options.target == TargetDevice::Cuda;
  NamedValues entries{
      {"activations", options.activations},
      {"algorithm", algorithmOf(options)},
      {"arch", gpu ? options.architectures : ""},
      {"as", options.kind == ModelKind::Automatic ? ""
             : options.kind == ModelKind::Graph   ? "graph"
                                                  : "decoder"},
      {"bits",
       options.bits > 0 ? llvm::formatv("{0}", options.bits).str() : ""},
      {"calibrate", llvm::sys::path::filename(options.calibrate).str()},
      {"calibrate-inputs", options.calibrateInputs},
      {"calibrate-tokens", options.calibrate.empty()
                               ? ""
                               : std::to_string(options.calibrateTokens)},
      {"candidates", llvm::join(options.candidates, ",")},
      {"kv-candidates", llvm::join(options.cacheCandidates, ",")},
      {"context", options.context ? std::to_string(options.context) : ""},
      {"cpu", gpu ? "" : options.cpu},
      {"embedding", options.embedding},
      {"kv", options.cache},
      {"lm-head", options.lmHead},
      {"keep", options.keep ? "true" : ""},
      {"batch", options.batch > 1 ? std::to_string(options.batch) : ""},
      {"max-error", spellLimit(options.mostError)},
      {"max-kl", spellLimit(options.mostDivergence)},
      {"host-rates", llvm::sys::path::filename(options.hostRates).str()},
      {"max-latency", options.maxLatency},
      {"max-memory", options.maxMemory},
      {"max-perplexity-increase", spellLimit(options.mostPerplexityIncrease)},
      {"max-size", options.maxSize},
      {"min-top1", spellLimit(options.leastSameTop)},
      {"moves", options.moves ? std::to_string(options.moves) : ""},
      {"plan", llvm::sys::path::filename(options.plan).str()},
      {"sum-order", options.sumOrder},
      {"target", gpu ? "cuda" : "host"},
      {"tune", options.tune ? std::to_string(options.tune) : ""},
      {"weights", options.weights}};
  auto addAll = [&](const char *name, const std::vector<std::string> &values) {
    for (size_t i = 0; i < values.size(); ++i)
      entries.emplace_back(name + ("." + std::to_string(i)), values[i]);
  };
  addAll("format", options.formats);
  addAll("input", options.inputs);
  addAll("activation-format", options.activationFormats);
  addAll("kv-format", options.cacheFormats);
  for (size_t i = 0; i < options.validate.size(); ++i)
    entries.emplace_back("validate." + std::to_string(i),
                         recordedText(options.validate[i]));
  return sortedOptions(std::move(entries));
}

/// The cache of each layer.
static Status describeLayers(func::FuncOp step, ir::KVCacheType cache,
                             plan::DecoderT &decoder) {
  std::vector<uint32_t> windows(cache.getLayers());
  std::vector<bool> sources(cache.getLayers());
  step.walk([&](ir::CachedAttentionOp op) {
    windows[op.getLayer()] = op.getWindow().value_or(0);
    sources[op.getLayer()] = op.getSource();
  });
  for (auto [number, window] : llvm::enumerate(windows)) {
    auto layer = std::make_unique<plan::CacheLayerT>();
    layer->kv_heads = cache.getKvHeads();
    layer->key_size = layer->value_size = cache.getHeadSize();
    layer->key = runtime::fromFormat(cache.keyOf(number));
    layer->value = runtime::fromFormat(cache.valueOf(number));
    layer->window = window;
    layer->source = sources[number];
    if (layer->source && cache.keyOf(number).groupSize)
      return Status(StatusCode::InvalidArgument,
                    "keys of what an encoder made are read by position, not in "
                    "groups of positions as " +
                        quant::spell(cache.keyOf(number)) +
                        "; give --kv or --kv-format cache." +
                        std::to_string(number) +
                        ".key a format without groups");
    if (!layer->source) { // of a source all positions are as far from a query
      layer->recent = uint32_t(cache.recentOf(number));
      layer->first = uint32_t(cache.firstOf(number));
    }
    decoder.layers.push_back(std::move(layer));
  }
  return Status();
}

static StatusOr<std::unique_ptr<plan::DecoderT>>
describeDecoder(func::FuncOp step, const CompileOptions &options,
                const Companions &companions) {
  auto decoder = std::make_unique<plan::DecoderT>();
  ir::KVCacheType cache;
  for (Type type : step.getArgumentTypes())
    if (auto found = dyn_cast<ir::KVCacheType>(type))
      cache = found;
  QOPT_RETURN_IF_ERROR(describeLayers(step, cache, *decoder));
  decoder->page = cache.getPage();
  decoder->vocabulary =
      cast<RankedTensorType>(step.getResultTypes()[0]).getDimSize(1);
  decoder->context =
      uint32_t(step->getAttrOfType<IntegerAttr>(ir::contextAttribute).getInt());
  // What is in a step decides the order of its sums.
  if (options.target == TargetDevice::Cuda || !options.sumOrder.empty())
    decoder->step_tokens = passes::cudaStepTokens;
  QOPT_RETURN_IF_ERROR(checkTokens(companions, decoder->vocabulary));
  bool hasSources = llvm::any_of(
      decoder->layers, [](const auto &layer) { return layer->source; });
  decoder->begin_token = hasSources && companions.startToken >= 0
                             ? companions.startToken
                             : companions.beginToken;
  decoder->end_tokens = companions.endTokens;
  decoder->chat_template = companions.chatTemplate;
  if (const std::optional<SamplingOptions> &asked = companions.sampling) {
    decoder->sampling = std::make_unique<plan::SamplingT>();
    decoder->sampling->temperature = asked->temperature;
    decoder->sampling->top_k = uint32_t(asked->topK);
    decoder->sampling->top_p = asked->topP;
    decoder->sampling->min_p = asked->minP;
    decoder->sampling->repetition_penalty = asked->repetitionPenalty;
  }
  return decoder;
}

/// Checks that the tokenizer's ids are rows of the vocabulary.
static Status checkTokenizer(const Companions &companions,
                             uint32_t vocabulary) {
  if (companions.tokenizer.empty())
    return Status();
  auto tokenizer = Tokenizer::create(companions.tokenizer);
  if (!tokenizer)
    return tokenizer.status();
  return tokenizer->checkVocabulary(vocabulary);
}

static void summarize(std::vector<WeightSummary> weights,
                      CompileSummary &summary) {
  for (const WeightSummary &weight : weights) {
    summary.parameters += weight.rows * weight.columns;
    summary.weightBytes += weight.bytes;
  }
  summary.weights = std::move(weights);
}

static uint64_t countElements(func::FuncOp func) {
  uint64_t total = 0;
  func.walk([&](ir::WeightUserOpInterface user) {
    auto type = cast<ir::WeightType>(user.getWeightOperand().get().getType());
    total += type.getRows() * type.getColumns();
  });
  return total;
}

/// The nodes whose work no kernel family does, each once, or an error where
/// that is refused.
static Status checkStrict(ModuleOp module, const CompileOptions &options) {
  std::vector<std::string> nodes;
  module.walk([&](ir::GeneratedOp op) {
    std::string node = onnx::describeNode(op.getLoc());
    if (node.empty())
      node = op.getKernel().getLeafReference().str();
    if (!llvm::is_contained(nodes, node))
      nodes.push_back(node);
  });
  if (!options.strict || nodes.empty())
    return Status();
  return Status(StatusCode::Unsupported,
                std::to_string(nodes.size()) +
                    " of the model's nodes have no kernel family and would run "
                    "as generic code; compile without --strict to allow that:\n"
                    "  " +
                    llvm::join(nodes, "\n  "));
}

/// Machine code of the nested module `kernels`, as the first segment.
static StatusOr<GeneratedCode> writeCode(ModuleOp module,
                                         const CompileOptions &options,
                                         runtime::ArtifactWriter &writer,
                                         CompileSummary &summary) {
  GeneratedCode code;
  for (ModuleOp kernels : module.getOps<ModuleOp>()) {
    auto target = codegen::parseHostTarget(options.cpu);
    if (!target)
      return target.status();
    FailureOr<codegen::HostCode> generated =
        codegen::generateHostCode(kernels, *target);
    if (failed(generated))
      return Status(StatusCode::Internal, "machine code could not be made");
    for (const codegen::HostKernel &kernel : generated->kernels)
      code.extents[kernel.symbol] = kernel.range.extent;
    summary.genericKernels += generated->kernels.size();
    if (generated->kernels.empty())
      continue;
    const std::string &object = generated->object;
    auto segment = writer.addSegment(
        plan::SegmentKind::Code, "kernels",
        {reinterpret_cast<const uint8_t *>(object.data()), object.size()});
    if (!segment)
      return segment.status();
    code.segment = *segment;
  }
  return code;
}

using FunctionPlan = StatusOr<std::unique_ptr<plan::FunctionT>>;

static FunctionPlan planOf(PlanBuilder builder,
                           const ArtifactConstants &constants) {
  auto function = builder.build();
  if (succeeded(function))
    return std::move(*function);
  return constants.failure().ok()
             ? Status(StatusCode::Unsupported, "the plan could not be built")
             : constants.failure();
}

static FunctionPlan buildHostFunction(ModuleOp module, func::FuncOp func,
                                      const CompileOptions &options,
                                      ArtifactConstants &constants,
                                      runtime::ArtifactWriter &writer,
                                      CompileSummary &summary) {
  auto code = writeCode(module, options, writer, summary);
  if (!code)
    return code.status();
  return planOf(PlanBuilder(constants, *code, func), constants);
}

/// Whether kernels are made for an artifact. Their code is a few MB an
/// architecture and takes ten seconds; weights beside which that is less than a
/// percent, at two bits each, make it no part of a size.
static CudaKernels::Purpose purposeOf(func::FuncOp func, ArtifactUse use) {
  constexpr uint64_t manyElements = uint64_t(1) << 30;
  return use == ArtifactUse::Sizes && countElements(func) >= manyElements
             ? CudaKernels::Purpose::Predictions
             : CudaKernels::Purpose::Code;
}

static FunctionPlan
buildGpuFunction(func::FuncOp func, const ArtifactParts &parts,
                 ArtifactConstants &constants, runtime::ArtifactWriter &writer,
                 plan::ManifestT &manifest, CompileSummary &summary) {
  const CompileOptions &options = parts.options;
  CudaKernels::Purpose purpose = purposeOf(func, parts.use);
  auto targets = target::parseArchitectures(options.architectures);
  if (!targets.ok())
    return targets.status();
  CudaKernels kernels(*func.getContext(), *targets,
                      predictedContextOf(func, options), purpose);
  FunctionPlan plan = planOf(PlanBuilder(constants, kernels, func), constants);
  if (!plan.ok())
    return plan;
  QOPT_RETURN_IF_ERROR(addSampling(**plan, func, kernels, summary));
  summary.genericKernels = kernels.genericKernels();
  if (purpose == CudaKernels::Purpose::Code)
    QOPT_RETURN_IF_ERROR(kernels.assemble(threadsOf(options), summary));
  kernels.summarize(**plan, summary);
  QOPT_RETURN_IF_ERROR(kernels.write(writer, **plan, manifest.kernels));
  return plan;
}

/// The file that was compiled, where there was one.
static Status addSource(plan::ManifestT &manifest, const ArtifactParts &parts) {
  const Companions &companions = parts.companions;
  if (companions.model.empty())
    return Status();
  if (parts.use == ArtifactUse::Sizes) { // weights may be in that file
    manifest.source_sha256.resize(sizeof(runtime::Digest));
  } else {
    auto digest = digestOf(companions.model);
    if (!digest)
      return digest.status();
    manifest.source_sha256 = std::move(*digest);
  }
  manifest.source_name = llvm::sys::path::filename(companions.model).str();
  for (const std::string &file : parts.encoderFiles) {
    auto digest = digestOf(file);
    if (!digest)
      return digest.status();
    digest->insert(digest->begin(), manifest.source_sha256.begin(),
                   manifest.source_sha256.end());
    runtime::Digest both = runtime::Sha256::of(digest->data(), digest->size());
    manifest.source_sha256.assign(both.begin(), both.end());
    manifest.source_name += "+" + llvm::sys::path::filename(file).str();
  }
  return Status();
}

/// What the artifact was made of and for, and the tokenizer.
static Status addOrigin(plan::ManifestT &manifest, const ArtifactParts &parts,
                        runtime::ArtifactWriter &writer) {
  const CompileOptions &options = parts.options;
  const std::string &text = parts.companions.tokenizer;
  if (!text.empty()) {
    auto segment = writer.addSegment(
        plan::SegmentKind::Tokenizer, "tokenizer.json",
        {reinterpret_cast<const uint8_t *>(text.data()), text.size()});
    if (!segment)
      return segment.status();
    manifest.tokenizer_segment = *segment;
  }
  QOPT_RETURN_IF_ERROR(addSource(manifest, parts));
  manifest.compiler_version = versionString;
  manifest.target = options.target == TargetDevice::Cuda
                        ? "cuda/" + options.architectures
                        : "host/" + options.cpu;
  manifest.options = recordedOptions(options);
  if (!parts.precision)
    return Status();
  manifest.precision_plan = toJson(withoutFolders(*parts.precision));
  if (!parts.precision->calibration.text.empty())
    manifest.seeds.push_back(parts.precision->calibration.seed);
  return Status();
}

/// Opens the artifact as it is so far and measures what it does.
static Status measure(plan::PlanT &plan, const ArtifactParts &parts,
                      runtime::ArtifactWriter &writer,
                      CompileSummary &summary) {
  if (!parts.measure)
    return Status();
  return writer.preview(plan, [&](const std::string &path) {
    auto found = parts.measure(path);
    if (!found.ok())
      return found.status();
    plan.manifest->validation = runtime::fromValidation(*found);
    summary.validation = std::move(*found);
    return parts.options.keep ? Status()
                              : checkGates(*summary.validation, parts.options);
  });
}

/// The most positions of a source: those that its type says, else as many as a
/// sequence may have.
static uint32_t longestSource(func::FuncOp encoder, uint32_t context) {
  uint32_t longest = context;
  encoder.walk([&](ir::KVAppendOp op) {
    auto keys = cast<RankedTensorType>(op.getK().getType());
    if (!keys.isDynamicDim(0))
      longest = uint32_t(keys.getDimSize(0));
  });
  return longest;
}

/// The function that encodes sources, behind the decoder's own.
static Status addEncoder(const ArtifactParts &parts,
                         runtime::ArtifactWriter &writer, plan::PlanT &plan,
                         std::vector<WeightSummary> &weights,
                         CompileSummary &summary) {
  ModuleOp module = parts.encoder;
  auto func = *module.getOps<func::FuncOp>().begin();
  QOPT_RETURN_IF_ERROR(checkStrict(module, parts.options));
  QOPT_RETURN_IF_ERROR(checkConstants(func));
  ArtifactConstants constants(writer, threadsOf(parts.options), {},
                              countElements(func), nullptr, parts.use);
  constants.shareWeights();
  auto function = buildHostFunction(module, func, parts.options, constants,
                                    writer, summary);
  if (!function)
    return function.status();
  QOPT_RETURN_IF_ERROR(constants.finish(**function));
  plan.decoder->encoder = int32_t(plan.functions.size());
  plan.decoder->source = longestSource(func, plan.decoder->context);
  plan.functions.push_back(std::move(*function));
  for (auto &record : constants.takeRecords())
    plan.manifest->weights.push_back(std::move(record));
  for (WeightSummary &weight : constants.takeSummaries())
    weights.push_back(std::move(weight));
  return Status();
}

Status buildArtifact(ModuleOp module, const ArtifactParts &parts,
                     const Progress &progress, CompileSummary &summary) {
  const CompileOptions &options = parts.options;
  const Companions &companions = parts.companions;
  auto functions = llvm::to_vector(module.getOps<func::FuncOp>());
  if (functions.size() != 1)
    return Status(StatusCode::Internal, "a module has one function");
  func::FuncOp func = functions.front();
  QOPT_RETURN_IF_ERROR(checkStrict(module, options));
  QOPT_RETURN_IF_ERROR(checkConstants(func));
  plan::PlanT plan;
  plan.manifest = std::make_unique<plan::ManifestT>();
  if (func->hasAttr("qopt.decoder")) {
    auto decoder = describeDecoder(func, options, companions);
    if (!decoder)
      return decoder.status();
    plan.decoder = std::move(*decoder);
    QOPT_RETURN_IF_ERROR(checkTokenizer(companions, plan.decoder->vocabulary));
  }
  auto writer = runtime::ArtifactWriter::create(options.output);
  if (!writer)
    return writer.status();
  ArtifactConstants constants(**writer, threadsOf(options), progress,
                              countElements(func), parts.precision, parts.use);
  auto function = options.target == TargetDevice::Cuda
                      ? buildGpuFunction(func, parts, constants, **writer,
                                         *plan.manifest, summary)
                      : buildHostFunction(module, func, options, constants,
                                          **writer, summary);
  if (!function)
    return function.status();
  QOPT_RETURN_IF_ERROR(constants.finish(**function));
  plan.functions.push_back(std::move(*function));

  plan::ManifestT &manifest = *plan.manifest;
  QOPT_RETURN_IF_ERROR(addOrigin(manifest, parts, **writer));
  manifest.weights = constants.takeRecords();
  std::vector<WeightSummary> weights = constants.takeSummaries();
  if (parts.encoder)
    QOPT_RETURN_IF_ERROR(addEncoder(parts, **writer, plan, weights, summary));
  summarize(std::move(weights), summary);
  if (parts.workingBytes) {
    // Its digest reads the whole of the model's file, weights that are in it
    // included.
    uint64_t modelBytes = 0;
    (void)llvm::sys::fs::file_size(companions.model, modelBytes);
    *parts.workingBytes = std::max(constants.workingBytes(), modelBytes);
  }
  QOPT_RETURN_IF_ERROR(measure(plan, parts, **writer, summary));
  QOPT_RETURN_IF_ERROR((*writer)->finish(plan));
  (void)llvm::sys::fs::file_size(options.output, summary.artifactBytes);
  return Status();
}

} // namespace qopt::driver

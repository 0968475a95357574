// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/Quantization.h"
#include "lib/Driver/ActivationOption.h"
#include "lib/Driver/CacheOption.h"
#include "lib/Driver/CacheScores.h"
#include "lib/Driver/CalibrationMemory.h"
#include "lib/Driver/ChannelScaling.h"
#include "lib/Driver/DecoderContext.h"
#include "lib/Driver/FormatScores.h"
#include "lib/Driver/HostModels.h"
#include "lib/Driver/HostRates.h"
#include "lib/Driver/PlanBudget.h"
#include "lib/Driver/PlanMoves.h"
#include "lib/Driver/PrecisionAssignment.h"
#include "lib/Driver/StageOptions.h"
#include "lib/Driver/StepPrices.h"
#include "lib/Driver/Tuning.h"
#include "lib/Driver/WeightCalibration.h"
#include "mlir/Pass/PassManager.h"
#include "passes/Pipelines.h"
#include "passes/Quantize/FormatOverrides.h"
#include "passes/Quantize/LinearScales.h"
#include "passes/Quantize/Passes.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;

namespace qopt::driver {

std::string targetName(const CompileOptions &options) {
  return options.target == TargetDevice::Cuda ? "cuda" : "host";
}

/// An entry of a store: the formats that were chosen.
static const char *const planEntry = "plan";
/// And what the alternatives of each weight cost, and of keys and values of
/// each layer, in a store that is the same for all budgets.
static const char *const scoresEntry = "scores";
static const char *const cacheScoresEntry = "cache-scores";

static Status refuse(const std::string &why) {
  return Status(StatusCode::InvalidArgument, why);
}

Status Quantization::open(ModuleOp raised) {
  if (!asked.plan.empty())
    return takePlan(raised);
  return asked.calibrate.empty() ? Status() : readText(raised);
}

Status Quantization::choose(ModuleOp raised, const Progress &progress) {
  return hasBudget(asked) ? assign(raised, progress) : Status();
}

/// As quantizedModel; what fails is the options' fault.
StatusOr<OwningOpRef<ModuleOp>>
Quantization::quantizedAs(ModuleOp raised,
                          const passes::AskedFormats &formats) {
  auto module = quantizedModel(raised, formats);
  if (!module.ok())
    return refuse("a pass failed");
  return module;
}

StatusOr<OwningOpRef<ModuleOp>>
Quantization::quantizedForHost(ModuleOp raised,
                               const CompileOptions &options) const {
  passes::AskedFormats formats = askedFormats(options);
  formats.type = formats.activations = formats.widest = "f32";
  formats.activationOverrides.clear();
  return quantizedAs(raised, formats);
}

bool scalesChannels(const CompileOptions &options) {
  auto activations = parseActivationOption(options);
  bool hasRowCodes =
      activations.ok() && activations->hasCodes() &&
      activations->format.granularity != quant::Granularity::Group;
  return !options.calibrate.empty() && !hasBudget(options) &&
         (hasRowCodes || options.algorithm == awqAlgorithm);
}

/// Linears of weights of the file, by name; the first of several.
static std::map<std::string, ir::LinearOp> namedLinears(ModuleOp raised) {
  std::map<std::string, ir::LinearOp> linears;
  raised.walk([&](ir::LinearOp linear) {
    if (auto weight = linear.getWeight().getDefiningOp<ir::WeightOp>())
      linears.emplace(weight.getName().str(), linear);
  });
  return linears;
}

/// Entries of a store: the scales of linears, by the names of weights.
static const char *const channelsEntry = "channel-scales-";
static const char *const activationEntry = "activation-scale-";

static Status putScales(ModuleOp raised, const CalibrationStore &store) {
  for (auto &[name, linear] : namedLinears(raised)) {
    if (auto scales = linear->getAttrOfType<DenseElementsAttr>(
            passes::channelScalesAttribute))
      QOPT_RETURN_IF_ERROR(store.put(
          channelsEntry + name, std::vector<float>(scales.value_begin<float>(),
                                                   scales.value_end<float>())));
    if (auto scale =
            linear->getAttrOfType<FloatAttr>(passes::activationScaleAttribute))
      QOPT_RETURN_IF_ERROR(
          store.put(activationEntry + name,
                    std::vector<float>{scale.getValue().convertToFloat()}));
  }
  return Status();
}

static Status takeScales(ModuleOp raised, const CalibrationStore &store) {
  Builder builder(raised.getContext());
  for (auto &[name, linear] : namedLinears(raised)) {
    if (store.has(channelsEntry + name)) {
      auto scales = store.getFloats(channelsEntry + name);
      if (!scales.ok())
        return scales.status();
      auto type = RankedTensorType::get({int64_t(scales->size())},
                                        builder.getF32Type());
      linear->setAttr(passes::channelScalesAttribute,
                      DenseElementsAttr::get(type, ArrayRef<float>(*scales)));
    }
    if (store.has(activationEntry + name)) {
      auto scale = store.getFloats(activationEntry + name);
      if (!scale.ok())
        return scale.status();
      linear->setAttr(passes::activationScaleAttribute,
                      builder.getF32FloatAttr(scale->front()));
    }
  }
  return Status();
}

Status Quantization::scale(ModuleOp raised, const Progress &progress) {
  auto activations = parseActivationOption(asked);
  if (activations.ok() && activations->isStatic() && asked.calibrate.empty())
    return refuse("--activations is \"" + asked.activations +
                  "\", with scales that are measured on a text, and the plan "
                  "names none; give one as --calibrate");
  if (!scalesChannels(asked))
    return Status();
  // Of the model as it is; the weights' store is that of the scaled one.
  auto own = StoreFolder::open(raised, asked, text->record);
  if (!own.ok())
    return own.status();
  QOPT_RETURN_IF_ERROR(
      findScales(raised, CalibrationStore(own->path()), progress));
  if (asked.algorithm == awqAlgorithm) // scales, then round to nearest
    asked.algorithm = "rtn";
  PassManager manager(raised.getContext());
  manager.addNestedPass<func::FuncOp>(passes::createFoldChannelScalesPass());
  return failed(manager.run(raised)) ? refuse("a pass failed") : Status();
}

Status Quantization::findScales(ModuleOp raised, const CalibrationStore &scales,
                                const Progress &progress) {
  static const char *const allEntry = "all-scales";
  if (!scales.has(allEntry)) {
    CompileOptions host = asked;
    host.activations = hostActivations(asked);
    host.target = TargetDevice::Host;
    passes::AskedFormats formats = askedFormats(host);
    formats.type = formats.widest = "f32";
    // Which linears read codes does not depend on who has their scale.
    bool isStatic = parseActivationOption(asked)->isStatic();
    if (isStatic)
      formats.activations =
          StringRef(formats.activations).drop_back(strlen("_tensor")).str();
    auto quantized = quantizedAs(raised, formats);
    auto reference = quantizedForHost(raised, asked);
    for (const Status &status : {quantized.status(), reference.status()})
      QOPT_RETURN_IF_ERROR(status);
    calibrate::SelectedSamples samples(
        *text->samples, samplesForScales(text->samples->count()));
    auto model = CalibrationModel::create(**reference, samples, asked, scales);
    if (!model.ok())
      return model.status();
    QOPT_RETURN_IF_ERROR(
        scaleChannels(raised, **quantized, isStatic, **model, progress));
    Status status = putScales(raised, scales);
    return status.ok() ? scales.put(allEntry, std::string()) : status;
  }
  return takeScales(raised, scales);
}

/// What a calibration on text has beside that of a graph.
static Status checkGraphOptions(const CompileOptions &asked) {
  if (!asked.maxLatency.empty())
    return refuse("--max-latency is for the steps of a decoder, and the model "
                  "is a graph; bound --bits, --max-size or --max-memory");
  if (asked.moves > 0)
    return refuse("--moves exchanges formats by the divergence of a decoder's "
                  "predictions, and the model is a graph; leave it out");
  if (asked.tune > 0)
    return refuse("--tune follows the divergence of a decoder's predictions, "
                  "and the model is a graph; leave it out");
  return Status();
}

Status Quantization::readText(ModuleOp raised) {
  auto read = readCalibrationText(raised, asked, companions);
  if (!read.ok())
    return read.status();
  text = std::move(*read);
  if (notice && !text->record.sources.empty())
    notice(spellMix(*text));
  if (text->isOfGraph())
    QOPT_RETURN_IF_ERROR(checkGraphOptions(asked));
  int64_t count = text->samples->count();
  std::string what =
      text->isOfGraph()
          ? std::string("samples")
          : llvm::formatv("windows of {0} tokens", text->tokens.length()).str();
  if (notice && count < calibrate::windowsToHoldOut)
    notice(llvm::formatv("calibration has {0} {1}, and none is held out: "
                         "algorithms are judged on what they were fitted to; "
                         "expected {2} or more ({3})",
                         count, what, calibrate::windowsToHoldOut,
                         text->isOfGraph() ? "more samples"
                                           : "--calibrate-tokens, a longer "
                                             "text"));
  return Status();
}

/// The layers; says what they take, once.
StatusOr<std::unique_ptr<CalibrationModel>>
Quantization::cut(ModuleOp reference) {
  auto model =
      CalibrationModel::create(reference, *text->samples, asked, *store);
  if (model.ok() && notice && !isMemoryTold)
    notice(spellMemory(predictMemory((*model)->segments(), *text->samples)));
  isMemoryTold = true;
  return model;
}

StatusOr<std::unique_ptr<CalibrationModel>>
Quantization::layersOf(ModuleOp raised, const CompileOptions &options) {
  auto reference = quantizedForHost(raised, options);
  if (!reference.ok())
    return reference.status();
  return cut(**reference);
}

Status Quantization::openStore(ModuleOp raised) {
  if (store)
    return Status();
  auto opened = StoreFolder::open(raised, asked, text->record);
  if (!opened.ok())
    return opened.status();
  folder.emplace(std::move(*opened));
  store.emplace(folder->path());
  return Status();
}

Status Quantization::measure(CalibrationModel &model, ModelGradients &gradients,
                             const Progress &progress) {
  auto measured =
      measureCurvature(model, gradients, CurvatureOptions(), progress);
  if (!measured.ok())
    return measured.status();
  curvature = std::move(*measured);
  return Status();
}

StatusOr<PrecisionPlan> storedPlan(const CalibrationStore &store,
                                   const char *entry) {
  auto bytes = store.get(entry);
  if (!bytes.ok())
    return bytes.status();
  return parsePlan(*bytes, "of the store");
}

Status Quantization::assign(ModuleOp raised, const Progress &progress) {
  QOPT_RETURN_IF_ERROR(openStore(raised));
  isDecided = true;
  if (store->has(planEntry)) {
    auto plan = storedPlan(*store, planEntry);
    if (!plan.ok())
      return plan.status();
    decided = std::move(*plan);
    takeFormats();
    return Status();
  }
  QOPT_RETURN_IF_ERROR(listFixed(raised));
  auto shared = StoreFolder::open(raised, withoutBudgets(asked), text->record);
  if (!shared.ok())
    return shared.status();
  CalibrationStore scores(shared->path());
  if (scores.has(scoresEntry)) {
    auto scored = storedPlan(scores, scoresEntry);
    if (!scored.ok())
      return scored.status();
    decided.weights = std::move(scored->weights);
  } else {
    QOPT_RETURN_IF_ERROR(score(raised, scores, progress));
    CacheUse none;
    QOPT_RETURN_IF_ERROR(
        chooseFormats(decided, none, leastSizes(decided, none)));
    QOPT_RETURN_IF_ERROR(scores.put(scoresEntry, toJson(decided)));
  }
  if (choosesCaches(asked) && !decided.caches.empty())
    QOPT_RETURN_IF_ERROR(scoreCaches(raised, scores, progress));
  if (choosesActivations(asked))
    QOPT_RETURN_IF_ERROR(scoreActivations(raised, scores, progress));
  auto use = cacheUse(raised);
  if (!use.ok())
    return use.status();
  if (!asked.maxLatency.empty() && asked.target == TargetDevice::Host) {
    auto rates = hostRatesOf(asked);
    if (!rates.ok())
      return rates.status();
    decided.rates = rates->spell();
  }
  if (!asked.maxLatency.empty())
    QOPT_RETURN_IF_ERROR(priceFormats(raised, asked, progress, decided));
  PlanBudget budget(asked, *text, *use);
  if (Status status = budget.choose(progress, decided); !status.ok()) {
    forgetSteps();
    return status;
  }
  QOPT_RETURN_IF_ERROR(exchange(raised, scores, budget, progress));
  QOPT_RETURN_IF_ERROR(store->put(planEntry, toJson(decided)));
  takeFormats();
  return Status();
}

Status Quantization::exchange(ModuleOp raised, const CalibrationStore &codes,
                              const PlanBudget &budget,
                              const Progress &progress) {
  if (asked.moves == 0)
    return Status();
  constexpr int64_t mostWindows = 16;
  OwningOpRef<ModuleOp> model = raised.clone();
  QOPT_RETURN_IF_ERROR(setContext(*model, asked, companions));
  auto context = contextOf(decoderStep(*model), asked, companions);
  if (!context.ok())
    return context.status();
  TokenWindows windows =
      text->tokens.select(calibrate::isHeldOut, *context).spread(mostWindows);
  if (windows.count() == 0 || windows.length() < 2)
    return refuse("--moves measures on windows that no algorithm sees, and the "
                  "text has none; expected 8 windows or more, or leave it out");
  return improveByMoves({*model, asked, companions, codes, windows}, budget,
                        progress, decided);
}

StatusOr<CacheUse> Quantization::cacheUse(ModuleOp raised) const {
  CacheUse use;
  func::FuncOp step = decoderStep(raised);
  if (!step || asked.maxMemory.empty())
    return use;
  auto context = contextOf(step, asked, companions);
  if (!context.ok())
    return context.status();
  use.sequences = asked.batch;
  use.positions = asked.batch * *context;
  return use;
}

/// Of those that no option fixes.
Status Quantization::scoreCaches(ModuleOp raised,
                                 const CalibrationStore &scores,
                                 const Progress &progress) {
  CompileOptions plain = asked;
  plain.cacheFormats.clear();
  auto withoutLayers = quantizedAs(raised, askedFormats(plain));
  if (!withoutLayers.ok())
    return withoutLayers.status();
  std::vector<PlannedCache> all =
      listCaches(**withoutLayers, raised, asked.target);
  if (scores.has(cacheScoresEntry)) {
    auto scored = storedPlan(scores, cacheScoresEntry);
    if (!scored.ok())
      return scored.status();
    all = std::move(scored->caches);
  } else {
    auto model = layersOf(raised, asked);
    if (!model.ok())
      return model.status();
    auto gradients = ModelGradients::forward(**model, progress);
    if (!gradients.ok())
      return gradients.status();
    CacheScoring scoring;
    scoring.keys = cacheCandidates(asked, CachePart::Keys);
    scoring.values = cacheCandidates(asked, CachePart::Values);
    QOPT_RETURN_IF_ERROR(
        driver::scoreCaches(**model, *gradients, scoring, progress, all));
    PrecisionPlan entry;
    entry.caches = all;
    QOPT_RETURN_IF_ERROR(scores.put(cacheScoresEntry, toJson(entry)));
  }
  return keepNamedCaches(all);
}

Status Quantization::score(ModuleOp raised, const CalibrationStore &codes,
                           const Progress &progress) {
  auto reference = listChoices(raised);
  if (!reference.ok())
    return reference.status();
  auto model = cut(**reference);
  if (!model.ok())
    return model.status();
  if (text->isOfGraph()) // which may have operations without gradients
    if (std::string reason = (*model)->whyNoGradients(); !reason.empty())
      return refuse("--bits and other budgets choose formats by gradients, and "
                    "the model has none: " +
                    reason +
                    "; give --weights, and --format for single weights");
  auto gradients = ModelGradients::forward(**model, progress);
  if (!gradients.ok())
    return gradients.status();
  QOPT_RETURN_IF_ERROR(measure(**model, *gradients, progress));
  ScoringOptions scoring{.codes = &codes,
                         .candidates = candidates(),
                         .algorithm = asked.algorithm};
  return scoreFormats(**model, *gradients, *curvature, scoring, progress,
                      decided.weights);
}

/// Plan and codes are what another run with the same options wants.
void Quantization::forgetSteps() const {
  for (const char *prefix : {"input-", "power-", "product-", "lookup-",
                             "curvature-", "gradient-", "hidden-", "scores-"})
    store->eraseAll(prefix);
}

void Quantization::nameOptions() {
  decided.target = targetName(asked);
  decided.activations = asked.activations;
  decided.cache = asked.cache;
}

void Quantization::list(ModuleOp module, ModuleOp raised) {
  if (!isDecided)
    decided.weights = listWeights(module);
  if (decided.caches.empty())
    decided.caches = listCaches(module, raised, asked.target);
  listTensors(module, asked, decided.tensors);
  nameOptions();
}

Status Quantization::calibrate(ArrayRef<ModuleOp> modules, ModuleOp raised,
                               const Progress &progress) {
  list(modules.front(), raised);
  if (asked.calibrate.empty())
    return Status();
  QOPT_RETURN_IF_ERROR(openStore(raised));
  decided.calibration = text->record;
  QOPT_RETURN_IF_ERROR(observeCaches(raised, progress));
  CalibratedWeights weights;
  auto isDone = takeStoredWeights(modules.front(), *store, decided, weights);
  if (!isDone.ok())
    return isDone.status();
  if (!*isDone)
    QOPT_RETURN_IF_ERROR(chooseCodes(raised, progress, weights));
  if (asked.tune > 0)
    QOPT_RETURN_IF_ERROR(tune(raised, progress, weights));
  for (ModuleOp module : modules) {
    replaceWeights(module, weights.codes);
    QOPT_RETURN_IF_ERROR(correctBiases(module, weights));
    QOPT_RETURN_IF_ERROR(scaleNorms(module, weights));
  }
  if (!*isDone || asked.tune > 0)
    forgetSteps();
  return Status();
}

Status Quantization::chooseCodes(ModuleOp raised, const Progress &progress,
                                 CalibratedWeights &weights) {
  auto model = layersOf(raised, asked);
  if (!model.ok())
    return model.status();
  bool wantsCurvature =
      asked.algorithm == bestAlgorithm || asked.algorithm == "kronecker";
  if (wantsCurvature && !curvature && text->isOfGraph()) {
    // Graphs have operations without gradients.
    std::string reason = (*model)->whyNoGradients();
    if (!reason.empty() && asked.algorithm != bestAlgorithm)
      return refuse(
          "--algorithm is " + asked.algorithm +
          ", which rounds by gradients, and the model has none: " + reason);
    if (!reason.empty() && notice)
      notice("no gradients are measured, weights are rounded by what their "
             "linears read alone: " +
             reason);
    wantsCurvature = reason.empty();
  }
  if (wantsCurvature && !curvature) {
    auto gradients = ModelGradients::forward(**model, progress);
    if (!gradients.ok())
      return gradients.status();
    QOPT_RETURN_IF_ERROR(measure(**model, *gradients, progress));
  }
  return calibrateWeights(**model, curvature ? *curvature : Curvature(),
                          {.algorithm = asked.algorithm,
                           .usePlanned = !asked.plan.empty(),
                           .inputs = *parseLayerInputs(asked.calibrateInputs)},
                          progress, decided, weights);
}

Status Quantization::tune(ModuleOp raised, const Progress &progress,
                          CalibratedWeights &weights) {
  auto isDone = takeTunedWeights(*store, asked.tune, weights, decided.tuning);
  if (!isDone.ok() || *isDone)
    return isDone.status();
  if (text->tokens.count() < calibrate::windowsToHoldOut)
    return refuse(llvm::formatv(
        "--tune keeps what does best on windows that no step sees, and the "
        "text has none: it has {0} windows of {1} tokens; expected {2} or more "
        "(--calibrate-tokens, a longer text)",
        text->tokens.count(), text->tokens.length(),
        calibrate::windowsToHoldOut));
  auto model = layersOf(raised, asked);
  if (!model.ok())
    return model.status();
  auto forward = ModelGradients::forward(**model, progress);
  if (!forward.ok())
    return forward.status();
  return tuneWeights(**model, forward->input((*model)->segments().size() - 1),
                     asked.tune, progress, weights, decided.tuning);
}

} // namespace qopt::driver

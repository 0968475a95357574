// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/PlanBudget.h"
#include "lib/Codegen/TemporaryFolder.h"
#include "lib/Driver/CacheOption.h"
#include "lib/Driver/ValidationTexts.h"
#include "qopt/Artifact.h"
#include "qopt/Engine.h"
#include "runtime/ResidentMemory.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

using llvm::StringRef;

namespace qopt::driver {

bool hasMeasuredBudget(const CompileOptions &options) {
  return !options.maxSize.empty() || !options.maxMemory.empty() ||
         !options.maxLatency.empty();
}

bool choosesCaches(const CompileOptions &options) {
  return !options.maxMemory.empty() && options.cache.empty();
}

bool hasBudget(const CompileOptions &options) {
  return options.bits > 0 || hasMeasuredBudget(options);
}

CompileOptions withoutBudgets(CompileOptions options) {
  options.bits = 0;
  options.batch = 1;
  options.maxSize.clear();
  options.maxMemory.clear();
  options.maxLatency.clear();
  options.moves = 0;
  return options;
}

/// Takes the number that a quantity begins with; 0 where there is none.
static double takeNumber(StringRef &text) {
  StringRef digits =
      text.take_while([](char c) { return llvm::isDigit(c) || c == '.'; });
  text = text.drop_front(digits.size()).trim();
  double value = 0;
  return digits.empty() || digits.getAsDouble(value) || value > 1e9 ? 0 : value;
}

/// Bytes of "1.2GB", "900MiB", "4096".
static StatusOr<double> parseSize(const char *option, const std::string &text) {
  StringRef unit(text);
  double value = takeNumber(unit);
  int power = 0;
  for (auto [i, letter] : llvm::enumerate(StringRef("kMGT")))
    if (unit.starts_with_insensitive(StringRef(&letter, 1)))
      power = int(i) + 1;
  if (power)
    unit = unit.drop_front();
  bool binary = power && unit.consume_front_insensitive("i");
  (void)unit.consume_front_insensitive("B");
  if (value <= 0 || !unit.empty())
    return Status(StatusCode::InvalidArgument,
                  std::string(option) + " is \"" + text +
                      "\"; expected a size as 1.2GB, 900MiB or 4096");
  return value * std::pow(binary ? 1024.0 : 1000.0, power);
}

/// Seconds of "2.1ms", "800us", "0.002s".
static StatusOr<double> parseLatency(const std::string &text) {
  StringRef unit(text);
  double value = takeNumber(unit);
  double scale = unit == "ms"   ? 1e-3
                 : unit == "us" ? 1e-6
                 : unit == "s"  ? 1
                                : 0;
  if (value <= 0 || scale == 0)
    return Status(StatusCode::InvalidArgument,
                  "--max-latency is \"" + text +
                      "\"; expected a time as 2.1ms, 800us or 0.002s");
  return value * scale;
}

static Status checkCacheCandidates(const CompileOptions &options) {
  if (options.cacheCandidates.empty())
    return Status();
  if (!choosesCaches(options))
    return Status(StatusCode::InvalidArgument,
                  "--kv-candidates is for --max-memory, which chooses among "
                  "them where no --kv is given; leave it out");
  for (const std::string &name : options.cacheCandidates) {
    auto format = quant::parseFormat(name);
    if (!format.ok())
      return Status(format.status().code(),
                    "--kv-candidates: " + format.status().message());
    Status keys = checkCacheFormat(options, CachePart::Keys, *format);
    if (!keys.ok() &&
        !checkCacheFormat(options, CachePart::Values, *format).ok())
      return keys;
  }
  return Status();
}

Status checkBudgetOptions(const CompileOptions &options) {
  QOPT_RETURN_IF_ERROR(checkCacheCandidates(options));
  if (!options.maxSize.empty())
    QOPT_RETURN_IF_ERROR(parseSize("--max-size", options.maxSize).status());
  if (!options.maxMemory.empty())
    QOPT_RETURN_IF_ERROR(parseSize("--max-memory", options.maxMemory).status());
  if (options.batch < 1 || options.batch > (1 << 16))
    return Status(
        StatusCode::InvalidArgument,
        llvm::formatv("--batch is {0}; expected 1 to 65536", options.batch));
  if (options.batch > 1 && options.maxMemory.empty())
    return Status(StatusCode::InvalidArgument,
                  "--batch is for --max-memory, which counts the cache of so "
                  "many sequences; leave it out");
  if (options.maxLatency.empty())
    return Status();
  QOPT_RETURN_IF_ERROR(parseLatency(options.maxLatency).status());
  if (options.target == TargetDevice::Host)
    return Status(StatusCode::InvalidArgument,
                  "--max-latency is for --target cuda, whose steps are "
                  "predicted; for the host bound --bits or --max-size");
  return Status();
}

std::string PlanBudget::Limit::spell(double amount) const {
  return isTime() ? llvm::formatv("{0:F3}", amount * 1e3).str()
                  : llvm::formatv("{0}", int64_t(amount)).str();
}

Status PlanBudget::Limit::refusal(double least) const {
  return {StatusCode::Infeasible,
          llvm::formatv("{0} is {1}, but the smallest plan of these "
                        "candidates takes {2} {3}; ask for that or more, or "
                        "add smaller --candidates",
                        option, given, spell(least), unit)};
}

PlanBudget::PlanBudget(const CompileOptions &options,
                       const CalibrationRecord &text, const CacheUse &use)
    : asked(options), text(text), use(use) {
  if (!asked.maxSize.empty())
    limits.push_back({"--max-size", asked.maxSize,
                      *parseSize("", asked.maxSize), &Measured::fileBytes,
                      &PlanBytes::weights, "bytes"});
  if (!asked.maxMemory.empty())
    limits.push_back({"--max-memory", asked.maxMemory,
                      *parseSize("", asked.maxMemory), &Measured::residentBytes,
                      &PlanBytes::all, "bytes in memory"});
  if (!asked.maxLatency.empty())
    limits.push_back({"--max-latency", asked.maxLatency,
                      *parseLatency(asked.maxLatency), &Measured::stepSeconds,
                      &PlanBytes::weights, "ms a step"});
}

std::string PlanBudget::spellBudgets() const {
  std::vector<std::string> parts;
  if (asked.bits > 0)
    parts.push_back(llvm::formatv("{0} bits per weight", asked.bits));
  if (!asked.maxSize.empty())
    parts.push_back("a file of " + asked.maxSize);
  if (!asked.maxMemory.empty())
    parts.push_back("memory of " + asked.maxMemory + " for " +
                    std::to_string(asked.batch) + " sequences");
  if (!asked.maxLatency.empty())
    parts.push_back("steps of " + asked.maxLatency);
  return llvm::join(parts, ", ");
}

/// Bytes of weights within --bits.
static int64_t bytesOfBits(const CompileOptions &asked,
                           const PrecisionPlan &plan) {
  return asked.bits > 0
             ? int64_t(std::floor(asked.bits / 8 * double(plan.elements())))
             : INT64_MAX;
}

Status PlanBudget::choose(const Progress &progress, PrecisionPlan &plan) {
  plan.budget = spellBudgets();
  PlanBytes least = leastBytes(plan, use), most = mostBytes(plan, use);
  int64_t ofBits = bytesOfBits(asked, plan);
  if (ofBits < least.weights)
    return Status(StatusCode::Infeasible,
                  llvm::formatv("--bits is {0}, but the smallest plan of "
                                "these candidates has {1:F3} bits per "
                                "weight; ask for that or more, or add "
                                "smaller --candidates",
                                asked.bits,
                                std::ceil(8000.0 * double(least.weights) /
                                          double(plan.elements())) /
                                    1000));
  most.weights = std::min(most.weights, ofBits);
  if (!limits.empty()) {
    if (progress)
      progress("measuring the artifact", 0);
    return chooseWithinLimits(plan, least, most);
  }
  chosenBounds = most;
  chooseFormats(plan, use, most);
  return Status();
}

StatusOr<bool> PlanBudget::holds(const PrecisionPlan &plan) const {
  if (bytesOf(plan, use).weights > bytesOfBits(asked, plan))
    return false;
  if (limits.empty())
    return true;
  auto found = measure(plan);
  if (!found.ok())
    return found.status();
  return llvm::all_of(limits, [&](const Limit &limit) {
    return limit.of(*found) <= limit.most;
  });
}

/// A compilation with the formats of a plan, and nothing that takes time.
static CompileOptions plannedOptions(const CompileOptions &asked) {
  CompileOptions options;
  options.model = asked.model;
  options.tokenizer = asked.tokenizer;
  options.kind = asked.kind;
  options.target = asked.target;
  options.architectures = asked.architectures;
  options.cpu = asked.cpu;
  options.context = asked.context;
  options.threads = asked.threads;
  return options;
}

/// At most what is recorded in the file later: the text and algorithms of
/// calibration, options, what was measured.
static int64_t laterBytes(const CompileOptions &options,
                          const PrecisionPlan &plan,
                          const CalibrationRecord &calibration) {
  constexpr int64_t textBytes = 512, algorithmBytes = 48, sliceBytes = 1024;
  auto bytes = textBytes + algorithmBytes * int64_t(plan.weights.size());
  for (const SourceRecord &source : calibration.sources)
    bytes += textBytes + 8 * int64_t(source.file.size() + source.domain.size() +
                                     source.slice.size());
  for (const std::vector<std::string> *words :
       {&options.formats, &options.cacheFormats, &options.candidates,
        &options.validate})
    for (const std::string &word : *words)
      bytes += 64 + 8 * int64_t(word.size());
  if (wantsValidation(options))
    bytes += sliceBytes * int64_t(options.validate.size() + 1);
  return bytes;
}

/// What serves the sequences of --batch, each as long as the context, takes of
/// the artifact's memory.
static StatusOr<double> residentBytes(const CompileOptions &asked,
                                      const std::string &path) {
  // Written by this process a moment ago.
  auto artifact = Artifact::open(path, OpenOptions{.trust = true});
  if (!artifact.ok())
    return artifact.status();
  if (!(*artifact)->isDecoder())
    return Status(StatusCode::InvalidArgument,
                  "--max-memory counts the cache of a decoder, and the model "
                  "is a graph; bound --bits or --max-size");
  runtime::ServedBatch batch;
  batch.sequences = asked.batch;
  batch.positions = (*artifact)->decoder().context;
  batch.stepTokens = EngineOptions().chunkTokens;
  auto bytes = runtime::residentBytes(**artifact, batch);
  if (!bytes.ok())
    return bytes.status();
  return double(*bytes);
}

StatusOr<PlanBudget::Measured>
PlanBudget::measure(const PrecisionPlan &plan) const {
  codegen::TemporaryFolder folder("qopt-size");
  QOPT_RETURN_IF_ERROR(folder.made());
  CompileOptions options = plannedOptions(asked);
  options.output = folder.file("model.qopt");
  options.plan = folder.file("plan.json");
  QOPT_RETURN_IF_ERROR(writePlan(plan, options.plan));
  bool readsWeights = !asked.maxSize.empty() || !asked.maxMemory.empty();
  auto summary = readsWeights ? compile(options) : describeKernels(options);
  if (!summary.ok())
    return summary.status();
  Measured found;
  found.fileBytes =
      double(summary->artifactBytes) + double(laterBytes(asked, plan, text));
  if (!asked.maxMemory.empty()) {
    auto bytes = residentBytes(asked, options.output);
    if (!bytes.ok())
      return bytes.status();
    found.residentBytes = *bytes;
  }
  for (const StepSummary &step : summary->steps) // the slowest part
    found.stepSeconds = std::max(found.stepSeconds, step.predicted.seconds);
  if (!asked.maxLatency.empty() && summary->steps.empty())
    return Status(StatusCode::InvalidArgument,
                  "--max-latency is for the steps of a decoder, and the model "
                  "is a graph; bound --bits or --max-size");
  return found;
}

/// A bound of some bytes: the largest with which the limits on them hold.
struct PlanBudget::Bracket {
  int64_t PlanBytes::*part;
  int64_t low, high; ///< of bounds that were not tried
  int64_t bound;
  bool isLimited = false;
  double left = 0, share = 0; ///< of the limits at the latest bound

  bool isDone() const { return !isLimited || low > high; }
  /// Takes what is left of the limits with a plan of so many bytes.
  void take(int64_t bytes) {
    if (share >= 0)
      low = bound + 1;
    else
      high = bytes - 1;
  }
  /// What is left over, then the middle of what fits and what does not.
  void next(int64_t bytes, bool guesses) {
    if (low > high) { // the largest that fits
      bound = low - 1;
      return;
    }
    auto guess = int64_t(std::clamp(double(bytes) + left, 0.0, 1e18));
    bound = guesses ? std::clamp(guess, low, high) : low + (high - low) / 2;
  }
};

/// The largest bounds with which all limits hold. What a plan has beside its
/// weights and cache depends on formats a little: segments and caches are whole
/// pages, reasons are recorded, formats take unequal time a byte.
Status PlanBudget::chooseWithinLimits(PrecisionPlan &plan,
                                      const PlanBytes &least,
                                      const PlanBytes &most) {
  constexpr int guesses = 3, rounds = 9;
  constexpr double closeEnough = 1.0 / 400; // of a limit
  std::array<Bracket, 2> brackets;
  for (auto [bracket, part] :
       llvm::zip(brackets, std::array{&PlanBytes::weights, &PlanBytes::all})) {
    bracket = {part, least.*part, most.*part, most.*part};
    bracket.isLimited = llvm::any_of(
        limits, [&](const Limit &limit) { return limit.part == part; });
    if (bracket.isLimited)
      bracket.bound = bracket.low;
  }
  std::optional<PrecisionPlan> fitting;
  for (int round = 0; round < rounds; ++round) {
    PlanBytes bounds{brackets[0].bound, brackets[1].bound};
    chooseFormats(plan, use, bounds);
    auto found = measure(plan);
    if (!found.ok())
      return found.status();
    PlanBytes bytes = bytesOf(plan, use);
    for (Bracket &bracket : brackets)
      bracket.left = bracket.share = HUGE_VAL;
    for (const Limit &limit : limits) {
      double value = limit.of(*found), over = limit.most - value;
      if (over < 0 && !fitting)
        return limit.refusal(value);
      Bracket &bracket = brackets[limit.part == &PlanBytes::all];
      // A step takes about as long as its weights take to arrive.
      bracket.left = std::min(
          bracket.left,
          limit.isTime() ? over / value * double(bytes.weights) : over);
      bracket.share = std::min(bracket.share, over / limit.most);
    }
    bool fits = true, isClose = round > 0;
    for (Bracket &bracket : brackets) {
      if (!bracket.isLimited)
        continue;
      fits &= bracket.share >= 0;
      // Another bound may leave much of this one.
      bool binds = double(bytes.*bracket.part) >
                   double(bracket.bound) * (1 - closeEnough);
      isClose &= bracket.share < closeEnough || !binds;
      bracket.take(bytes.*bracket.part);
    }
    if (fits && (!fitting || plan.divergence() <= fitting->divergence())) {
      fitting = plan;
      chosenBounds = bounds;
    }
    if ((fits && isClose) || (brackets[0].isDone() && brackets[1].isDone()))
      break;
    for (Bracket &bracket : brackets)
      if (bracket.isLimited)
        bracket.next(bytes.*bracket.part, round < guesses);
  }
  plan = std::move(*fitting);
  return Status();
}

} // namespace qopt::driver

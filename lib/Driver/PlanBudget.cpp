// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/PlanBudget.h"
#include "lib/Codegen/TemporaryFolder.h"
#include "lib/Driver/CacheOption.h"
#include "lib/Driver/HostRates.h"
#include "lib/Driver/ServedMemory.h"
#include "lib/Driver/StepPrices.h"
#include "lib/Driver/ValidationTexts.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include <algorithm>
#include <cmath>
#include <optional>

using llvm::StringRef;

namespace qopt::driver {

bool hasMeasuredBudget(const CompileOptions &options) {
  return !options.maxSize.empty() || !options.maxMemory.empty() ||
         !options.maxLatency.empty();
}

bool choosesCaches(const CompileOptions &options) {
  return (!options.maxMemory.empty() || !options.maxLatency.empty()) &&
         options.cache.empty();
}

bool choosesActivations(const CompileOptions &options) {
  return !options.maxLatency.empty() && options.activations.empty();
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
                  "--kv-candidates is for --max-memory and --max-latency, "
                  "which choose among them where no --kv is given; leave it "
                  "out");
  for (const std::string &name : namedCacheCandidates(options)) {
    auto format = quant::parseCacheFormat(name);
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
  bool hasSteps =
      !options.maxLatency.empty() && options.target == TargetDevice::Host;
  if (options.batch > 1 && options.maxMemory.empty() && !hasSteps)
    return Status(StatusCode::InvalidArgument,
                  "--batch is for --max-memory, which counts the cache of so "
                  "many sequences, and on the host for --max-latency, which "
                  "predicts a step of them; leave it out");
  if (options.maxLatency.empty()) {
    if (options.hostRates.empty())
      return Status();
    return Status(StatusCode::InvalidArgument,
                  "--host-rates is for --max-latency and --check, which "
                  "predict steps of the host; leave it out");
  }
  QOPT_RETURN_IF_ERROR(checkHostRates(options));
  if (!options.sumOrder.empty())
    return Status(StatusCode::InvalidArgument,
                  "--max-latency is for steps that are fast, and --sum-order "
                  "is not; leave one out");
  return parseLatency(options.maxLatency).status();
}

/// Of a limit: what need not be used.
constexpr double closeEnough = 1.0 / 400;

std::string PlanBudget::Limit::spell(double amount) const {
  return isTime() ? llvm::formatv("{0:F5}", std::ceil(amount * 1e8) / 1e5).str()
                  : llvm::formatv("{0}", int64_t(amount)).str();
}

Status PlanBudget::Limit::refusal(double least) const {
  return {StatusCode::Infeasible,
          llvm::formatv("{0} is {1}, but the {2} plan of these candidates "
                        "takes {3} {4}; ask for that or more, or add {5} "
                        "--candidates",
                        option, given, isTime() ? "fastest" : "smallest",
                        spell(least), unit, isTime() ? "faster" : "smaller")};
}

PlanBudget::PlanBudget(const CompileOptions &options,
                       const CalibrationText &text, const CacheUse &use)
    : asked(options), text(text), use(use) {
  if (!asked.maxSize.empty())
    limits.push_back({"--max-size", asked.maxSize,
                      *parseSize("", asked.maxSize), &Measured::fileBytes,
                      &PlanSizes::weights, "bytes"});
  if (!asked.maxMemory.empty())
    limits.push_back({"--max-memory", asked.maxMemory,
                      *parseSize("", asked.maxMemory), &Measured::residentBytes,
                      &PlanSizes::all, "bytes in memory"});
  if (!asked.maxLatency.empty())
    limits.push_back({"--max-latency", asked.maxLatency,
                      *parseLatency(asked.maxLatency), &Measured::stepSeconds,
                      &PlanSizes::time, "ms a step"});
}

std::string PlanBudget::spellBudgets() const {
  std::vector<std::string> parts;
  if (asked.bits > 0)
    parts.push_back(llvm::formatv("{0} bits per weight", asked.bits));
  if (!asked.maxSize.empty())
    parts.push_back("a file of " + asked.maxSize);
  if (!asked.maxMemory.empty())
    parts.push_back("memory of " + asked.maxMemory + " for " +
                    std::to_string(asked.batch) +
                    (text.isOfGraph() ? " samples" : " sequences"));
  if (!asked.maxLatency.empty())
    parts.push_back("steps of " + asked.maxLatency +
                    (asked.batch > 1 && asked.target == TargetDevice::Host
                         ? " for " + std::to_string(asked.batch) + " sequences"
                         : ""));
  return llvm::join(parts, ", ");
}

/// Bytes of weights within --bits.
static int64_t bytesOfBits(const CompileOptions &asked,
                           const PrecisionPlan &plan) {
  return asked.bits > 0
             ? int64_t(std::floor(asked.bits / 8 * double(plan.elements())))
             : INT64_MAX;
}

/// Infeasible where the smallest plan has more bytes of weights than --bits.
static Status checkBits(const CompileOptions &asked, const PrecisionPlan &plan,
                        int64_t least) {
  if (least <= bytesOfBits(asked, plan))
    return Status();
  return Status(
      StatusCode::Infeasible,
      llvm::formatv(
          "--bits is {0}, but the smallest plan of "
          "these candidates has {1:F3} bits per "
          "weight; ask for that or more, or add "
          "smaller --candidates",
          asked.bits,
          std::ceil(8000.0 * double(least) / double(plan.elements())) / 1000));
}

Status PlanBudget::chooseAmong(const Progress &progress, PrecisionPlan &plan) {
  PlanSizes least = leastSizes(plan, use), most = mostSizes(plan, use);
  int64_t ofBits = bytesOfBits(asked, plan);
  if (!asked.maxLatency.empty()) { // prices of what is joined do not add up
    PrecisionPlan fastest = plan;
    QOPT_RETURN_IF_ERROR(chooseFormats(
        fastest, use, {INT64_MAX, INT64_MAX, INT64_MAX}, Objective::Time));
    least.time = sizesOf(fastest, use).time;
  }
  QOPT_RETURN_IF_ERROR(checkBits(asked, plan, least.weights));
  most.weights = std::min(most.weights, ofBits);
  if (!limits.empty()) {
    if (progress)
      progress("measuring the artifact", 0);
    return chooseWithinLimits(plan, least, most);
  }
  chosenBounds = most;
  return chooseFormats(plan, use, most);
}

StatusOr<bool> PlanBudget::holds(const PrecisionPlan &plan) const {
  if (sizesOf(plan, use).weights > bytesOfBits(asked, plan))
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

/// At most what is recorded in the file later: the text and algorithms of
/// calibration, options, what was measured.
static int64_t laterBytes(const CompileOptions &options,
                          const PrecisionPlan &plan,
                          const CalibrationText &text) {
  constexpr int64_t textBytes = 512, algorithmBytes = 48, sliceBytes = 1024;
  auto bytes = textBytes + algorithmBytes * int64_t(plan.weights.size());
  for (const SourceRecord &source : text.record.sources)
    bytes += textBytes + 8 * int64_t(source.file.size() + source.domain.size() +
                                     source.slice.size());
  bytes += int64_t(plan.rates.size());
  for (const std::vector<std::string> *words :
       {&options.formats, &options.cacheFormats, &options.candidates,
        &options.validate})
    for (const std::string &word : *words)
      bytes += 64 + 8 * int64_t(word.size());
  if (!wantsValidation(options))
    return bytes;
  int64_t ofSlice = text.isOfGraph() ? 0 : sliceBytes;
  for (const std::string &output : text.outputs) // and its limits
    ofSlice += sliceBytes + 8 * int64_t(output.size());
  size_t slices = std::max(options.validate.size(), text.record.sources.size());
  return bytes + ofSlice * int64_t(slices + 1);
}

std::vector<Status> PlanBudget::missedBy(const PrecisionPlan &smallest,
                                         double fileBytes,
                                         double residentBytes) const {
  Measured found;
  found.fileBytes = fileBytes + double(laterBytes(asked, smallest, text));
  found.residentBytes = residentBytes;
  std::vector<Status> missed;
  if (Status bits = checkBits(asked, smallest, sizesOf(smallest, use).weights);
      !bits.ok())
    missed.push_back(std::move(bits));
  for (const Limit &limit : limits)
    if (!limit.isTime() && limit.of(found) > limit.most)
      missed.push_back(limit.refusal(limit.of(found)));
  return missed;
}

/// What a check says of a plan on the host, for which no weight is read.
/// Nothing where weights are too large to be compared with each other, for two
/// that are equal are stored once, and of the memory of a graph.
StatusOr<std::optional<PlanBudget::Measured>>
PlanBudget::check(const PrecisionPlan &plan,
                  const CompileOptions &planned) const {
  CompileOptions options = planned;
  options.output.clear();
  options.batch = asked.batch;
  auto checked = qopt::check(options);
  if (!checked.ok())
    return checked.status();
  bool hasLarge = llvm::any_of(checked->missed, [](const MissedFusion &missed) {
    return missed.what == "NotCompared";
  });
  bool isUnknown = text.isOfGraph() && !asked.maxMemory.empty();
  if (hasLarge || isUnknown || !checked->problems.empty())
    return std::optional<Measured>(); // compiling says what is wrong
  Measured found;
  found.fileBytes = double(checked->compilation.artifactBytes) +
                    double(laterBytes(asked, plan, text));
  for (const ServingPart &part : checked->serving)
    found.residentBytes += double(part.bytes);
  if (!asked.maxLatency.empty()) {
    auto seconds = slowestStep(checked->compilation.steps);
    if (!seconds.ok())
      return seconds.status();
    found.stepSeconds = *seconds;
  }
  return std::optional(found);
}

StatusOr<PlanBudget::Measured>
PlanBudget::measure(const PrecisionPlan &plan) const {
  Measured found;
  if (asked.maxSize.empty() && asked.maxMemory.empty()) {
    auto seconds = predictStep(asked, plan);
    if (!seconds.ok())
      return seconds.status();
    found.stepSeconds = *seconds;
    return found;
  }
  codegen::TemporaryFolder folder("qopt-size");
  QOPT_RETURN_IF_ERROR(folder.made());
  CompileOptions options = plannedOptions(asked);
  options.output = folder.file("model.qopt");
  options.plan = folder.file("plan.json");
  PrecisionPlan rounded = plan; // sizes do not depend on how codes are chosen
  for (PlannedWeight &weight : rounded.weights)
    weight.chosen.algorithm.clear();
  QOPT_RETURN_IF_ERROR(writePlan(rounded, options.plan));
  if (asked.target == TargetDevice::Host) {
    auto checked = check(plan, options);
    if (!checked.ok())
      return checked.status();
    if (*checked)
      return **checked;
  }
  auto summary = compile(options);
  if (!summary.ok())
    return summary.status();
  found.fileBytes =
      double(summary->artifactBytes) + double(laterBytes(asked, plan, text));
  if (!asked.maxMemory.empty()) {
    auto bytes = residentBytes(asked, text.samples.get(), options.output);
    if (!bytes.ok())
      return bytes.status();
    found.residentBytes = *bytes;
  }
  if (!asked.maxLatency.empty()) {
    // What was compiled says it of GPUs.
    auto seconds = summary->steps.empty() ? predictStep(asked, plan)
                                          : slowestStep(summary->steps);
    if (!seconds.ok())
      return seconds.status();
    found.stepSeconds = *seconds;
  }
  return found;
}

/// A bound of one size: the largest with which the limits on it hold.
struct PlanBudget::Bracket {
  int64_t PlanSizes::*part;
  int64_t low, high; ///< of bounds that were not tried
  int64_t bound;
  bool isLimited = false;
  double left = 0;  ///< of the limits with the latest plan, in the part's unit
  double share = 0; ///< of a limit
  bool isUsed = true; ///< what is left is not what the plan leaves of the bound

  bool isDone() const { return !isLimited || low > high; }
  /// Takes what is left of the limits with a plan of this size.
  void take(int64_t size) {
    if (share >= 0)
      low = bound + 1;
    else
      high = size - 1;
  }
  /// What is left over, then the middle of what fits and what does not.
  void next(int64_t size, bool guesses) {
    if (low > high) { // the largest that fits
      bound = low - 1;
      return;
    }
    auto guess = int64_t(std::clamp(double(size) + left, 0.0, 1e18));
    bound = guesses ? std::clamp(guess, low, high) : low + (high - low) / 2;
  }
};

/// At the least where there is a limit, else open.
PlanBudget::Brackets PlanBudget::bracketsOf(const PlanSizes &least,
                                            const PlanSizes &most) const {
  Brackets brackets;
  for (auto [bracket, part] :
       llvm::zip(brackets, std::array{&PlanSizes::weights, &PlanSizes::all,
                                      &PlanSizes::time})) {
    bracket = {part, least.*part, most.*part, most.*part};
    bracket.isLimited = llvm::any_of(
        limits, [&](const Limit &limit) { return limit.part == part; });
    if (bracket.isLimited)
      bracket.bound = bracket.low;
  }
  return brackets;
}

/// What is left of the limits. Infeasible where `refuses` and one is missed.
Status PlanBudget::take(const Measured &found, const PlanSizes &sizes,
                        bool refuses, Brackets &brackets) const {
  constexpr double picoseconds = 1e12;
  for (Bracket &bracket : brackets)
    bracket.left = bracket.share = HUGE_VAL;
  for (const Limit &limit : limits) {
    double value = limit.of(found), over = limit.most - value;
    if (over < 0 && refuses)
      return limit.refusal(value);
    Bracket &bracket = *llvm::find_if(
        brackets, [&](const Bracket &b) { return b.part == limit.part; });
    double unit = limit.isTime() ? picoseconds : 1;
    double unspent = double(bracket.bound - sizes.*bracket.part) / unit;
    if (over / limit.most < bracket.share) {
      bracket.share = over / limit.most;
      bracket.isUsed = bracket.share - unspent / limit.most < closeEnough;
    }
    bracket.left = std::min(bracket.left, over * unit);
  }
  return Status();
}

/// The smallest plan need not be the fastest: first bytes as they would be
/// without a limit on time, then the fastest plan that has no more of them.
Status PlanBudget::startWithBoth(PrecisionPlan &plan,
                                 Brackets &brackets) const {
  auto &[weights, all, time] = brackets;
  QOPT_RETURN_IF_ERROR(
      chooseFormats(plan, use, {weights.bound, all.bound, time.high}));
  auto found = measure(plan);
  if (!found.ok())
    return found.status();
  Measured bytes = *found;
  bytes.stepSeconds = 0; // not asked yet
  PlanSizes sizes = sizesOf(plan, use);
  QOPT_RETURN_IF_ERROR(take(bytes, sizes, /*refuses=*/true, brackets));
  for (Bracket *bracket : {&weights, &all})
    if (bracket->isLimited)
      bracket->next(sizes.*bracket->part, /*guesses=*/true);
  QOPT_RETURN_IF_ERROR(chooseFormats(
      plan, use, {weights.bound, all.bound, time.high}, Objective::Time));
  time.low = time.bound = sizesOf(plan, use).time;
  found = measure(plan);
  if (!found.ok())
    return found.status();
  Measured seconds;
  seconds.stepSeconds = found->stepSeconds;
  return take(seconds, sizesOf(plan, use), /*refuses=*/true, brackets);
}

/// The largest bounds with which all limits hold. What a plan has beside its
/// weights and cache depends on formats a little: segments and caches are whole
/// pages, reasons are recorded, prices of a step do not quite add up.
Status PlanBudget::chooseWithinLimits(PrecisionPlan &plan,
                                      const PlanSizes &least,
                                      const PlanSizes &most) {
  constexpr int guesses = 3, rounds = 9;
  Brackets brackets = bracketsOf(least, most);
  auto &[weights, all, time] = brackets;
  bool hasBoth =
      time.isLimited && (weights.isLimited || all.isLimited || asked.bits > 0);
  if (hasBoth)
    QOPT_RETURN_IF_ERROR(startWithBoth(plan, brackets));
  std::optional<PrecisionPlan> fitting;
  for (int round = 0; round < rounds; ++round) {
    PlanSizes bounds{weights.bound, all.bound, time.bound};
    Status chosen = chooseFormats(plan, use, bounds);
    if (!chosen.ok()) { // fewer bytes than before take more time
      if (!time.isLimited || time.isDone())
        break;
      time.low = time.bound + 1;
      time.next(time.bound, /*guesses=*/false);
      continue;
    }
    auto found = measure(plan);
    if (!found.ok())
      return found.status();
    PlanSizes sizes = sizesOf(plan, use);
    QOPT_RETURN_IF_ERROR(take(*found, sizes, !hasBoth && !fitting, brackets));
    bool fits = true, isClose = round > 0;
    for (Bracket &bracket : brackets) {
      if (!bracket.isLimited)
        continue;
      fits &= bracket.share >= 0;
      isClose &= bracket.isUsed;
      bracket.take(sizes.*bracket.part);
    }
    if (fits && (!fitting || plan.divergence() <= fitting->divergence())) {
      fitting = plan;
      chosenBounds = bounds;
    }
    if ((fits && isClose) ||
        llvm::all_of(brackets, [](const Bracket &b) { return b.isDone(); }))
      break;
    for (Bracket &bracket : brackets)
      if (bracket.isLimited)
        bracket.next(sizes.*bracket.part, round < guesses);
  }
  if (!fitting)
    return Status(StatusCode::Infeasible,
                  "each of the budgets (" + spellBudgets() +
                      ") can be met, but no plan of these candidates was found "
                      "that meets all; ask for more of one");
  plan = std::move(*fitting);
  return Status();
}

} // namespace qopt::driver

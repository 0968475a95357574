// What is ahead of a linear and behind it costs a launch each, or is work that
// every block of the linear, or one warp of it, does besides. Which is less
// depends on the tokens of a step; one artifact holds both.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "mlir/IR/Remarks.h"
#include "passes/Schedule/KernelProblems.h"
#include "passes/Schedule/Passes.h"

#define DEBUG_TYPE "qopt-select-cuda-fusions"

namespace qopt::passes {
#define GEN_PASS_DEF_SELECTCUDAFUSIONSPASS
#include "passes/Schedule/Passes.h.inc"
} // namespace qopt::passes

using namespace mlir;
using namespace qopt;
using namespace qopt::kernels;
using qopt::passes::problemOf;

/// What a launch that is saved may cost: chains of one kernel show it, whole
/// steps of one token with an append in the linear's launch or behind it were
/// equally fast (bench/RESULTS.md).
static constexpr double unseenSeconds = 0.8e-6;

namespace {

/// Predictions for the architecture that schedules are tuned for.
class Predictor {
public:
  /// Seconds of a linear; nothing where no schedule fits an architecture.
  std::optional<double> secondsOf(const skinny_linear::Problem &problem) {
    for (const auto &[known, seconds] : linears)
      if (known == problem)
        return seconds;
    std::optional<double> seconds = predict(problem);
    linears.push_back({problem, seconds});
    return seconds;
  }

  /// Seconds of a launch of its own for so many rows.
  template <typename Problem>
  double launchOf(const Problem &problem, int64_t rows) const {
    auto schedule = chooseSchedule(problem, target);
    return schedule.ok() ? costOf(problem, *schedule, rows, target).seconds
                         : std::numeric_limits<double>::infinity();
  }

private:
  std::optional<double> predict(const skinny_linear::Problem &problem) const {
    if (problem.tokens <= skinny_linear::largestBucket &&
        !passes::gemmIsFaster(problem, target))
      return predict(problem, [](auto &...arguments) {
        return skinny_linear::chooseSchedule(arguments...);
      });
    return predict(gemm::Problem{problem}, [](auto &...arguments) {
      return gemm::chooseSchedule(arguments...);
    });
  }

  template <typename Problem, typename Choose>
  std::optional<double> predict(const Problem &problem, Choose choose) const {
    std::optional<double> seconds;
    for (const target::Target *each : target::allTargets()) {
      auto schedule = choose(problem, *each);
      if (!schedule.ok())
        return std::nullopt;
      if (each == &target)
        seconds = costOf(problem, *schedule, target).seconds;
    }
    return seconds;
  }

  const target::Target &target = target::sm90a();
  std::vector<std::pair<skinny_linear::Problem, std::optional<double>>> linears;
};

/// Ranges of a step's tokens: ends of those inside and outside in turn, as the
/// attributes of a region have them.
class Ranges {
public:
  /// Adds the tokens from the last ones on to `end`.
  void add(bool inside, int64_t end) {
    if (ends.empty() && !inside)
      ends.push_back(0);
    bool isLast = ends.size() % 2 == (inside ? 1 : 0);
    if (isLast && !ends.empty())
      ends.back() = end;
    else
      ends.push_back(end);
  }
  /// Without what is outside behind the last one inside.
  SmallVector<int64_t> inside() const {
    SmallVector<int64_t> result = ends;
    if (result.size() % 2 == 0 && !result.empty())
      result.pop_back();
    return result == SmallVector<int64_t>{0} ? SmallVector<int64_t>() : result;
  }

private:
  SmallVector<int64_t> ends;
};

/// "1-8, 65-2048 tokens" or "no tokens".
std::string spell(ArrayRef<int64_t> ends) {
  std::string text;
  for (size_t i = 0; i < ends.size(); i += 2) {
    int64_t first = i ? ends[i - 1] + 1 : 1;
    if (first <= ends[i])
      text += (text.empty() ? "" : ", ") + std::to_string(first) + "-" +
              std::to_string(ends[i]);
  }
  return (text.empty() ? "no" : text) + " tokens";
}

struct SelectCudaFusions
    : qopt::passes::impl::SelectCudaFusionsPassBase<SelectCudaFusions> {
  void runOnOperation() override {
    Predictor predictor;
    getOperation().walk([&](ir::FusedOp op) {
      std::optional<ir::LinearBody> body = ir::matchLinear(op);
      if (op.getKernel() || !body)
        return;
      SmallVector<int64_t> prologue, sum, tail;
      if (body->hasPrologue())
        prologue = cheaperTokens(
            predictor, *body, [](int64_t) { return passes::LinearParts(); },
            &passes::LinearParts::prologue);
      if (!prologue.empty())
        op.setPrologueTokens(prologue);
      if (body->sum)
        sum = cheaperTokens(
            predictor, *body,
            [&](int64_t tokens) -> std::optional<passes::LinearParts> {
              bool prologue = passes::partsOf(op, tokens).prologue;
              if (body->hasPrologue() && !prologue)
                return std::nullopt;
              return passes::LinearParts{.prologue = prologue};
            },
            &passes::LinearParts::sum);
      if (body->hasTail())
        tail = cheaperTokens(
            predictor, *body, [](int64_t) { return passes::LinearParts(); },
            &passes::LinearParts::tail);
      remark::passed(op.getLoc(),
                     remark::RemarkOpts::name("Fusion").category(DEBUG_TYPE))
          << (body->sum ? "sum for " + spell(sum) + ", " : "") +
                 (body->quantize ? "codes for " : "norm for ") +
                 spell(prologue) + ", tail for " + spell(tail);
      // Steps of an element are part of any launch.
      if (prologue.empty() && sum.empty() && tail.empty() &&
          body->steps.empty())
        return;
      op.setKernel(ir::FusedKernel::Linear);
      if (!sum.empty())
        op.setSumTokens(sum);
      if (!tail.empty())
        op.setEpilogueTokens(tail);
    });
  }

  using Parts = passes::LinearParts;

  /// The tokens for which `part` is cheaper in the linear's launch than as one
  /// of its own, beside the others that `others` says for them; without an
  /// answer it is not asked.
  SmallVector<int64_t>
  cheaperTokens(Predictor &predictor, const ir::LinearBody &body,
                llvm::function_ref<std::optional<Parts>(int64_t tokens)> others,
                bool Parts::*part) {
    SmallVector<int64_t> buckets(std::begin(passes::skinnyBuckets),
                                 std::end(passes::skinnyBuckets));
    llvm::append_range(buckets, passes::gemmBuckets);
    Ranges ranges;
    for (int64_t bucket : buckets) {
      int64_t tokens = bucket ? bucket : passes::cudaStepTokens;
      std::optional<Parts> without = others(tokens), with = without;
      if (!without) {
        ranges.add(false, tokens);
        continue;
      }
      (*with).*part = true;
      auto together = predictor.secondsOf(problemOf(body, *with, tokens)),
           alone = predictor.secondsOf(problemOf(body, *without, tokens));
      bool cheaper =
          together &&
          (!alone || *together <= *alone +
                                      ownLaunch(predictor, body, part, tokens) +
                                      unseenSeconds);
      ranges.add(cheaper, tokens);
    }
    return ranges.inside();
  }

  double ownLaunch(const Predictor &predictor, const ir::LinearBody &body,
                   bool Parts::*part, int64_t tokens) {
    if (part == &Parts::sum)
      return predictor.launchOf(problemOf(*body.sum), tokens);
    if (part == &Parts::prologue)
      return body.norm
                 ? predictor.launchOf(passes::normProblemOf(body.norm), tokens)
                 : predictor.launchOf(problemOf(body.quantize), tokens);
    return body.gated ? predictor.launchOf(problemOf(body.gated), tokens)
                      : predictor.launchOf(problemOf(*body.append), tokens);
  }
};

} // namespace

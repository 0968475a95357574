// The families' chooseSchedule decides; this pass only asks them, once for each
// problem, architecture and bucket, and writes the answers down. An op that no
// family runs stays as it is: what becomes of it is for lowering to say.
//
// A new family: a case of KernelFamily (dialects/QOpt/QOptAttrs.td), a
// Schedule with visitFields, a problemOf in KernelProblems.h, and a select()
// below; the driver then reads the schedule (scheduleOf) and generates.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/QOpt/KeyRotation.h"
#include "lib/Kernels/AttentionPrefill/AttentionPrefill.h"
#include "passes/Schedule/KernelProblems.h"
#include "passes/Schedule/Passes.h"
#include "passes/Schedule/SelectedKernels.h"
#include "llvm/ADT/TypeSwitch.h"

namespace qopt::passes {
#define GEN_PASS_DEF_SELECTCUDAKERNELSPASS
#include "passes/Schedule/Passes.h.inc"
} // namespace qopt::passes

using namespace mlir;
using namespace qopt;
using namespace qopt::kernels;
using ir::KernelFamily;
using qopt::passes::gemmBuckets;
using qopt::passes::problemOf;
using qopt::passes::skinnyBuckets;

/// Most rows of logits for which several blocks share one; more fill a GPU with
/// a block each, which need not count who is last.
constexpr int64_t fewRows = 64;
/// Most new tokens of a sequence that attention_decode takes; attention_prefill
/// has no limit.
constexpr int64_t decodeBuckets[] = {1, 8};

/// Part of the epilogue of a linear, whatever the tokens.
static bool isStep(Operation *op) {
  auto region = op->getParentOfType<ir::FusedOp>();
  return region && isa<ir::ActivationOp>(op) &&
         region.getKernel() == ir::FusedKernel::Linear;
}

namespace {

/// What was chosen before, for layers that ask the same.
template <typename Problem> struct Chosen {
  Problem problem;
  KernelFamily family;
  int64_t most;
  const target::Target *target;
  DictionaryAttr schedule;
};

class Selector {
public:
  explicit Selector(ArrayRef<const target::Target *> targets)
      : targets(targets) {}

  /// Writes the kernels of `op`, if a family has any.
  LogicalResult select(Operation *op) {
    if (failed(passes::verifyQuantized(op)))
      return failure();
    kernels.clear();
    LogicalResult result =
        llvm::TypeSwitch<Operation *, LogicalResult>(op)
            .Case<ir::EmbeddingOp, ir::SelectRowsOp>([&](auto rows) {
              return selectOne(rows, KernelFamily::GatherRows);
            })
            .Case<ir::RmsNormOp, ir::LayerNormOp>(
                [&](auto norm) { return selectNorm(norm); })
            .Case<ir::ActivationOp, ir::GatedActivationOp>([&](auto function) {
              return isStep(function)
                         ? success()
                         : selectOne(function, KernelFamily::GatedActivation);
            })
            .Case([&](ir::QuantizeOp quantize) {
              return selectOne(quantize, KernelFamily::Quantize);
            })
            .Case([&](ir::RotaryTableOp table) {
              return selectOne(table, KernelFamily::RotaryTable);
            })
            .Case<ir::LinearOp, ir::CachedAttentionOp, ir::FusedOp,
                  func::ReturnOp>(
                [&](auto kernel) { return selectKernels(kernel); })
            .Case([&](ir::KVAppendOp append) { return selectKernels(append); })
            .Default([](Operation *) { return success(); });
    if (succeeded(result) && !kernels.empty())
      op->setAttr(ir::kernelsAttribute,
                  ArrayAttr::get(op->getContext(), kernels));
    return result;
  }

private:
  LogicalResult selectKernels(ir::LinearOp op) {
    if (op.getShare())
      return op.emitError("no kernel of a GPU leaves out the rows whose share "
                          "is 0");
    for (const target::Target *target : targets) {
      for (int64_t tokens : skinnyBuckets) {
        skinny_linear::Problem problem = problemOf(op, tokens);
        LogicalResult added =
            passes::gemmIsFaster(problem, *target)
                ? addGemm(op, tokens, *target)
                : add(op, KernelFamily::SkinnyLinear, tokens, problem, *target,
                      [](auto &...arguments) {
                        return skinny_linear::chooseSchedule(arguments...);
                      });
        if (failed(added))
          return failure();
      }
      for (int64_t tokens : gemmBuckets)
        if (failed(addGemm(op, tokens, *target)))
          return failure();
    }
    return success();
  }

  LogicalResult addGemm(ir::LinearOp op, int64_t tokens,
                        const target::Target &target) {
    gemm::Problem problem{
        problemOf(op, tokens ? tokens : passes::cudaStepTokens)};
    return add(
        op, KernelFamily::Gemm, tokens, problem, target,
        [](auto &...arguments) { return gemm::chooseSchedule(arguments...); });
  }

  LogicalResult selectKernels(ir::CachedAttentionOp op) {
    if (op->hasAttr(ir::keyRotationAttribute))
      return op.emitError("no kernel of a GPU rotates keys that are stored "
                          "ahead of their rotation");
    if (op.getSource() || op.getDistanceBiases())
      return op.emitError(op.getSource()
                              ? "no kernel of a GPU attends across sequences"
                              : "no kernel of a GPU adds biases by distance")
             << "; compile for the host";
    attention_decode::Problem problem = problemOf(op);
    for (const target::Target *target : targets) {
      for (int64_t tokens : decodeBuckets)
        if (failed(add(op, KernelFamily::AttentionDecode, tokens, problem,
                       *target, [&](auto &problem, auto &target) {
                         return attention_decode::chooseSchedule(
                             problem, tokens, target);
                       })))
          return failure();
      if (failed(add(op, KernelFamily::AttentionPrefill, 0, problem, *target,
                     [](auto &problem, auto &target) {
                       return attention_prefill::chooseSchedule(problem,
                                                                target);
                     })))
        return failure();
    }
    return success();
  }

  /// With the sum that it goes into in the region of a linear.
  LogicalResult selectNorm(Operation *op) {
    auto region = op->getParentOfType<ir::FusedOp>();
    std::optional<ir::LinearBody> body;
    if (region)
      body = ir::matchLinear(region);
    bool isOfSum = body && body->sum && body->sum->norm == op;
    return selectOne(op, KernelFamily::Norm,
                     isOfSum ? problemOf(*body->sum)
                             : passes::normProblemOf(op));
  }

  /// In the region of a linear, a launch of its own in long steps.
  LogicalResult selectKernels(ir::KVAppendOp op) {
    auto region = op->getParentOfType<ir::FusedOp>();
    std::optional<ir::LinearBody> body;
    if (region)
      body = ir::matchLinear(region);
    if (body && body->append)
      return selectOne(op, KernelFamily::RotaryAppend,
                       problemOf(*body->append));
    return region ? success() : selectOne(op, KernelFamily::RotaryAppend);
  }

  LogicalResult selectKernels(ir::FusedOp op) {
    if (std::optional<ir::NormSumBody> body = ir::matchNormSum(op))
      return selectOne(op, KernelFamily::Norm, problemOf(*body));
    std::optional<ir::RotaryAppendBody> body = ir::matchRotaryAppend(op);
    return body ? selectOne(op, KernelFamily::RotaryAppend, problemOf(*body))
                : success();
  }

  /// How a decoder's next tokens are chosen: both ways or none.
  LogicalResult selectKernels(func::ReturnOp op) {
    std::optional<sampling::Problem> drawn = passes::samplingProblemOf(op);
    if (!drawn)
      return success();
    // Overloads, which no template takes by name.
    auto shared = [](auto &...arguments) {
      return chooseSchedule(arguments...);
    };
    auto alone = [](auto &...arguments) {
      return chooseUncounted(arguments...);
    };
    auto both = [&](KernelFamily family, auto &problem, auto &target) {
      return success(
          succeeded(add(op, family, fewRows, problem, target, shared)) &&
          succeeded(add(op, family, 0, problem, target, alone)));
    };
    argmax::Problem largest = *problemOf(op);
    for (const target::Target *target : targets)
      if (failed(both(KernelFamily::Argmax, largest, *target)) ||
          failed(both(KernelFamily::Sampling, *drawn, *target)))
        return failure();
    return success();
  }

  template <typename Op> LogicalResult selectOne(Op op, KernelFamily family) {
    return selectOne(op, family, problemOf(op));
  }

  /// One kernel for launches of any size.
  template <typename Problem>
  LogicalResult selectOne(Operation *op, KernelFamily family,
                          const Problem &problem) {
    for (const target::Target *target : targets)
      if (failed(add(op, family, 0, problem, *target, [](auto &...arguments) {
            return chooseSchedule(arguments...);
          })))
        return failure();
    return success();
  }

  template <typename Problem, typename Choose>
  LogicalResult add(Operation *op, KernelFamily family, int64_t most,
                    const Problem &problem, const target::Target &target,
                    Choose choose) {
    auto &memory = std::get<std::vector<Chosen<Problem>>>(chosen);
    auto known = llvm::find_if(memory, [&](const Chosen<Problem> &one) {
      return one.family == family && one.most == most &&
             one.target == &target && one.problem == problem;
    });
    DictionaryAttr numbers;
    if (known != memory.end()) {
      numbers = known->schedule;
    } else {
      auto schedule = choose(problem, target);
      if (!schedule.ok())
        return op->emitError() << schedule.status().message();
      numbers = passes::numbersOf(*schedule, op->getContext());
      memory.push_back({problem, family, most, &target, numbers});
    }
    kernels.push_back(ir::KernelAttr::get(op->getContext(), family, target.name,
                                          most, numbers));
    return success();
  }

  ArrayRef<const target::Target *> targets;
  SmallVector<Attribute> kernels; ///< of the op at hand
  std::tuple<std::vector<Chosen<skinny_linear::Problem>>,
             std::vector<Chosen<gemm::Problem>>,
             std::vector<Chosen<attention_decode::Problem>>,
             std::vector<Chosen<rotary_append::Problem>>,
             std::vector<Chosen<rotary_table::Problem>>,
             std::vector<Chosen<norm::Problem>>,
             std::vector<Chosen<quantize::Problem>>,
             std::vector<Chosen<gated_activation::Problem>>,
             std::vector<Chosen<gather_rows::Problem>>,
             std::vector<Chosen<argmax::Problem>>,
             std::vector<Chosen<sampling::Problem>>>
      chosen;
};

struct SelectCudaKernels
    : qopt::passes::impl::SelectCudaKernelsPassBase<SelectCudaKernels> {
  using SelectCudaKernelsPassBase::SelectCudaKernelsPassBase;

  void runOnOperation() override {
    func::FuncOp func = getOperation();
    StatusOr<std::vector<const target::Target *>> targets =
        target::parseArchitectures(architectures);
    if (!targets.ok()) {
      func.emitError() << targets.status().message();
      return signalPassFailure();
    }
    Selector selector(*targets);
    WalkResult result = func.walk([&](Operation *op) {
      return failed(selector.select(op)) ? WalkResult::interrupt()
                                         : WalkResult::advance();
    });
    if (result.wasInterrupted())
      signalPassFailure();
  }
};

} // namespace

// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/HostSteps.h"
#include "dialects/QOpt/QOptDialect.h"
#include "dialects/QOpt/QOptOps.h"
#include "lib/Driver/CudaEmission.h"
#include "lib/Driver/HostRates.h"
#include "lib/Driver/KernelSummaries.h"
#include "lib/Quant/Element.h"
#include "lib/Target/Magnitude.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "runtime/host/LinearLayout.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"
#include <algorithm>
#include <cmath>

using namespace mlir;

namespace qopt::driver {

namespace {

/// The kernels of one step, in which each of some sequences has a token.
class HostStep {
public:
  HostStep(const HostRates &rates, int64_t sequences, int64_t positions)
      : rates(rates), sequences(sequences), positions(positions) {}

  Status run(func::FuncOp function);
  StepLaunches take() { return std::move(launches); }

private:
  /// What a kernel reads beside its activations, and its work.
  struct Work {
    const char *name;
    double bytes = 0, flops = 0, seconds = 0;
    std::string why = {};
  };
  Status add(Operation *op);
  Status add(ir::LinearOp op);
  Status add(ir::CachedAttentionOp op);
  Status addRow(const char *kernel, double elements);
  void add(const Work &work, double call);

  double countOf(ArrayRef<int64_t> shape) const;
  std::pair<double, double> routedTokens(ir::LinearOp op) const;
  double bytesOf(ir::CachedAttentionOp op) const;
  double positionsOf(ir::CachedAttentionOp op) const;
  double halvesOf(ir::CachedAttentionOp op) const;
  void countBytes(func::FuncOp function);
  template <typename Visit>
  static void forEachKernel(func::FuncOp function, Visit visit);

  const HostRates &rates;
  const int64_t sequences, positions;
  double readBytes = 0; ///< of weights and cache in the whole step
  StepLaunches launches;
};

} // namespace

/// Elements; a dimension that is not known is of tokens, one a sequence.
double HostStep::countOf(ArrayRef<int64_t> shape) const {
  double count = 1;
  for (int64_t size : shape)
    count *= double(ShapedType::isDynamic(size) ? sequences : size);
  return count;
}

/// How probable it is that the linear runs, and for how many tokens then, if
/// what a token takes does not depend on what others do.
std::pair<double, double> HostStep::routedTokens(ir::LinearOp op) const {
  double tokens = countOf(cast<ShapedType>(op.getX().getType()).getShape()) /
                  double(op.getWeight().getType().getColumns());
  if (!op.getTaken())
    return {1, tokens};
  double taken = op.getTaken()->convertToDouble();
  double runs = 1 - std::pow(1 - taken, tokens);
  return {runs, runs > 0 ? taken * tokens / runs : 0};
}

static double packedBytes(const ir::RowRange &range, int64_t columns) {
  auto layout = host::linearLayout(range.format, range.rows, columns);
  return layout.ok() ? double(layout->packedBytes()) : 0;
}

/// Of each sequence that a query sees.
double HostStep::positionsOf(ir::CachedAttentionOp op) const {
  return double(
      std::min<int64_t>(positions, op.getWindow().value_or(positions)));
}

/// Of these the ones that are read in f16.
double HostStep::halvesOf(ir::CachedAttentionOp op) const {
  ir::KVCacheType cache = op.getCache().getType();
  int64_t layer = op.getLayer();
  return std::min(positionsOf(op),
                  double(cache.recentOf(layer) + cache.firstOf(layer)));
}

double HostStep::bytesOf(ir::CachedAttentionOp op) const {
  ir::KVCacheType cache = op.getCache().getType();
  int64_t layer = op.getLayer();
  double bits = quant::bitsOf(cache.keyOf(layer).element) +
                quant::bitsOf(cache.valueOf(layer).element);
  double halves = halvesOf(op);
  return double(sequences) *
         ((positionsOf(op) - halves) * bits + halves * 2 * 16) *
         double(cache.getKvHeads() * cache.getHeadSize()) / 8;
}

/// Calls `visit` for each kernel's op: those of a region that has no kernel of
/// its own are its kernels.
template <typename Visit>
void HostStep::forEachKernel(func::FuncOp function, Visit visit) {
  function.walk<WalkOrder::PreOrder>([&](Operation *op) {
    if (!isa_and_nonnull<ir::QOptDialect>(op->getDialect()))
      return WalkResult::advance();
    auto fused = dyn_cast<ir::FusedOp>(op);
    if (!fused || fused.getKernel())
      visit(op);
    return fused && fused.getKernel() ? WalkResult::skip()
                                      : WalkResult::advance();
  });
}

void HostStep::countBytes(func::FuncOp function) {
  forEachKernel(function, [&](Operation *op) {
    if (auto linear = dyn_cast<ir::LinearOp>(op)) {
      double runs = routedTokens(linear).first;
      ir::WeightType type = linear.getWeight().getType();
      for (const ir::RowRange &range : type.getRanges())
        readBytes += runs * packedBytes(range, type.getColumns());
    } else if (auto attention = dyn_cast<ir::CachedAttentionOp>(op)) {
      readBytes += bytesOf(attention);
    }
  });
}

Status HostStep::run(func::FuncOp function) {
  countBytes(function);
  Status status;
  forEachKernel(function, [&](Operation *op) {
    if (status.ok())
      status = add(op);
  });
  return status;
}

void HostStep::add(const Work &work, double call) {
  double reading = work.bytes > 0 ? work.bytes / rates.readRate(readBytes) : 0;
  Prediction kernel;
  kernel.seconds = std::max(reading, work.seconds) + call;
  kernel.bytes = work.bytes;
  kernel.flops = work.flops;
  kernel.roofPart = kernel.seconds > 0 ? reading / kernel.seconds : 0;
  if (reading > work.seconds)
    kernel.terms.push_back(
        {"memory", reading,
         target::spellQuantity(work.bytes, "B") + " of " +
             target::spellQuantity(readBytes, "B") + " a step at " +
             target::spellQuantity(rates.readRate(readBytes), "B/s")});
  else
    kernel.terms.push_back({work.name, work.seconds, work.why});
  kernel.terms.push_back({"calls", call, "of " + rates.name});
  addLaunches(launches, kernel, 1);
}

Status HostStep::add(ir::LinearOp op) {
  ir::WeightType type = op.getWeight().getType();
  quant::Format reads = quant::floatFormat(quant::ElementType::F32);
  if (auto codes = dyn_cast<ir::QuantizedType>(op.getX().getType()))
    reads = codes.getFormat();
  auto [runs, tokens] = routedTokens(op);
  Work work{"products"};
  for (const ir::RowRange &range : type.getRanges()) {
    auto seconds = rates.weightSeconds(range.format, reads, tokens);
    if (!seconds.ok())
      return seconds.status();
    auto weights = runs * double(range.rows * type.getColumns());
    work.seconds += weights * *seconds;
    work.flops += 2 * weights * tokens;
    work.bytes += runs * packedBytes(range, type.getColumns());
  }
  work.why = type.spellFormats() + " by " + quant::spell(reads);
  add(work, rates.call);
  return Status();
}

Status HostStep::add(ir::CachedAttentionOp op) {
  ir::KVCacheType type = op.getCache().getType();
  // Vectors are of 16 channels, or of 16 positions.
  auto channels = int64_t(llvm::alignTo(type.getHeadSize(), 16));
  int64_t heads = cast<ShapedType>(op.getQ().getType()).getDimSize(1);
  Work work{"attention"};
  auto addPositions = [&](double seen, const quant::Format &key,
                          const quant::Format &value) {
    auto keys = rates.cache(calibrate::CachePart::Keys, key);
    auto values = rates.cache(calibrate::CachePart::Values, value);
    for (const Status &status : {keys.status(), values.status()})
      QOPT_RETURN_IF_ERROR(status);
    double stored = seen * double(type.getKvHeads() * channels);
    double asked = seen * double(heads * channels);
    work.flops += 4 * asked;
    work.seconds += stored * (keys->unpack + values->unpack) +
                    asked * (keys->product + values->product) +
                    seen * double(heads) * rates.score;
    return Status();
  };
  double halves = double(sequences) * halvesOf(op);
  quant::Format key = type.keyOf(op.getLayer()),
                value = type.valueOf(op.getLayer()),
                half = quant::floatFormat(quant::ElementType::F16);
  QOPT_RETURN_IF_ERROR(
      addPositions(double(sequences) * positionsOf(op) - halves, key, value));
  if (halves > 0)
    QOPT_RETURN_IF_ERROR(addPositions(halves, half, half));
  work.bytes = bytesOf(op);
  work.why = quant::spell(key) + " keys, " + quant::spell(value) + " values";
  add(work, rates.call);
  return Status();
}

Status HostStep::addRow(const char *kernel, double elements) {
  const HostRates::Row *row = rates.row(kernel);
  Work work{"rows"};
  work.seconds = elements * row->element;
  work.why = std::string(kernel) + " and the like";
  add(work, row->call);
  return Status();
}

Status HostStep::add(Operation *op) {
  double elements = 0;
  for (Type type : op->getResultTypes())
    if (auto shaped = dyn_cast<ShapedType>(type))
      elements += countOf(shaped.getShape());
  return llvm::TypeSwitch<Operation *, Status>(op)
      .Case<ir::LinearOp, ir::CachedAttentionOp>(
          [&](auto kernel) { return add(kernel); })
      .Case<ir::RmsNormOp, ir::LayerNormOp>(
          [&](auto) { return addRow("norm", elements); })
      .Case<ir::ActivationOp, ir::GatedActivationOp>(
          [&](auto) { return addRow("activation", elements); })
      .Case<ir::QuantizeOp, ir::DequantizeOp, ir::FromCodesOp>(
          [&](auto) { return addRow("quantize", elements); })
      .Case<ir::RotaryTableOp>(
          [&](auto) { return addRow("rotary_table", elements); })
      // Rotation and append of keys and values in one pass.
      .Case<ir::FusedOp>([&](ir::FusedOp fused) {
        for (Value input : fused.getInputs())
          if (auto shaped = dyn_cast<ShapedType>(input.getType()))
            elements += countOf(shaped.getShape());
        return addRow("rotary", elements);
      })
      .Case<ir::KVAppendOp>([&](ir::KVAppendOp append) {
        return addRow(
            "rotary",
            2 * countOf(cast<ShapedType>(append.getK().getType()).getShape()));
      })
      .Case<ir::EmbeddingOp, ir::RotaryOp, ir::PositionsOp, ir::SelectRowsOp,
            ir::GeneratedOp, ir::CheckIndicesOp>(
          [&](auto) { return addRow("rotary", elements); })
      .Default(Status()); // weights, sizes: no kernel
}

Status predictHost(ModuleOp module, const CompileOptions &options,
                   CompileSummary &summary) {
  if (!options.sumOrder.empty()) // slow on purpose
    return Status();
  for (auto function : module.getOps<func::FuncOp>()) {
    int64_t positions = predictedContextOf(function, options);
    if (!positions)
      continue;
    auto rates = hostRatesOf(options);
    if (!rates.ok())
      return rates.status();
    HostStep kernels(*rates, options.batch, positions);
    QOPT_RETURN_IF_ERROR(kernels.run(function));
    StepSummary step;
    step.architecture = rates->name;
    step.part = rates->part;
    step.digest = rates->digest;
    step.sequences = options.batch;
    step.context = positions;
    step.greedy = kernels.take();
    summary.steps.push_back(std::move(step));
  }
  return Status();
}

} // namespace qopt::driver

// Steps of attention: rotary embedding, dense attention, and what a decoder
// does with its cache and its batch.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Quant/VectorCodes.h"
#include "runtime/host/Attention.h"
#include "runtime/host/AttentionGradient.h"
#include "runtime/host/CachedAttention.h"
#include "runtime/host/LatestPositions.h"
#include "runtime/host/Rotary.h"
#include "runtime/host/RotaryAppend.h"
#include "runtime/host/program/CacheLayout.h"
#include "runtime/host/program/HostSteps.h"
#include "runtime/host/program/SumOrders.h"
#include "runtime/plan/PlanFormat.h"

#include "qopt/Tensor.h"

#include <cstring>
#include <vector>

namespace qopt::runtime {

StatusOr<host::KvCacheLayout> cacheLayout(const plan::CacheLayer &layer,
                                          int64_t page) {
  host::KvCacheLayout layout;
  layout.keyHeads = layer.kv_heads();
  layout.headSize = layer.key_size();
  layout.pageTokens = page;
  layout.key = toFormat(*layer.key());
  layout.value = toFormat(*layer.value());
  auto unsupported = [](const std::string &what) {
    return Status(StatusCode::Unsupported, what);
  };
  layout.recent = layer.recent();
  layout.first = layer.first();
  for (const quant::Format &format : {layout.key, layout.value})
    if (!quant::isVectorFormat(format) && !quant::isVectorGroupFormat(format))
      return unsupported(
          "the host keeps its cache in f32, f16, bf16, int8, int4 or fp8_e4m3, "
          "or in integers in groups, got " +
          quant::spell(format));
  int64_t group = layout.keyGroup();
  if (layer.source() && (group || layout.recent))
    return unsupported("positions of a source that are not each by itself, in "
                       "groups or as they come");
  if (group && (group % 32 != 0 || page % group != 0))
    return unsupported("keys in groups of " + std::to_string(group) +
                       " positions; expected a multiple of 32 that divides "
                       "pages of " +
                       std::to_string(page));
  constexpr int64_t most = 65536;
  if (layout.recent % 32 != 0 || layout.first % 16 != 0 ||
      layout.recent > most || layout.first > most ||
      (layout.recent ? layout.recent < group : layout.first > 0))
    return unsupported(std::to_string(layout.recent) + " latest and " +
                       std::to_string(layout.first) +
                       " first positions in f16");
  if (layer.key_size() != layer.value_size())
    return unsupported("keys of " + std::to_string(layer.key_size()) +
                       " and values of " + std::to_string(layer.value_size()) +
                       " channels in one cache");
  int64_t channels = layout.valueGroup();
  if (channels && (channels % 16 != 0 || layout.headSize % channels != 0))
    return unsupported("values in groups of " + std::to_string(channels) +
                       " channels; expected a multiple of 16 that divides "
                       "heads of " +
                       std::to_string(layout.headSize));
  if (page <= 0 || page % 16 != 0)
    return unsupported("cache pages of " + std::to_string(page) +
                       " positions; expected a multiple of 16");
  return layout;
}

/// Whether attention is always to the layer that was appended to last.
static bool attendsToLastAppended(const plan::Function &function) {
  int64_t last = -1;
  for (const plan::Step *step : *function.steps()) {
    if (const plan::KvAppend *append = step->operation_as_KvAppend())
      last = append->layer();
    if (const plan::RotaryAppend *append = step->operation_as_RotaryAppend())
      last = append->layer();
    const plan::CachedAttention *attention =
        step->operation_as_CachedAttention();
    if (attention && !attention->source() && attention->layer() != last)
      return false;
  }
  return true;
}

StatusOr<int64_t> stepRowElements(const BoundFunction &function) {
  int64_t most = 0;
  const plan::Decoder *decoder = function.file().plan().decoder();
  if (!decoder)
    return most;
  for (const plan::CacheLayer *layer : *decoder->layers()) {
    StatusOr<host::KvCacheLayout> layout = cacheLayout(*layer, decoder->page());
    if (!layout.ok())
      return layout.status();
    most = std::max(most,
                    host::StepRows::elements(*layout, function.inputs().tokens,
                                             function.inputs().sequences));
  }
  if (most > 0 && function.function().steps() &&
      !attendsToLastAppended(function.function()))
    return Status(StatusCode::Unsupported,
                  "a layer that attends to another's keys cannot have latest "
                  "positions in f16");
  return most;
}

namespace {

/// The layer's layout and number; both decoder commands have them.
Status fillCache(const StepBinder &binder, uint32_t layer,
                 host::KvCacheLayout &layout) {
  const plan::Decoder &decoder = *binder.function.file().plan().decoder();
  StatusOr<host::KvCacheLayout> found =
      cacheLayout(*decoder.layers()->Get(layer), decoder.page());
  if (!found.ok())
    return binder.fail(found.status().message());
  layout = *found;
  return {};
}

host::RaggedBatch raggedBatch(const DecoderState &state) {
  return {state.sequences, state.tokenStarts,     state.contextStarts,
          state.pageTable, state.pageTableStride, state.slots};
}

/// The same tokens, and pages of what they attend to across sequences.
host::RaggedBatch sourceBatch(const DecoderState &state) {
  return {state.sequences,    state.tokenStarts,       state.contextStarts,
          state.sourceTable,  state.sourceTableStride, nullptr,
          state.sourceLengths};
}

host::KvAppendArguments &cacheOf(host::RotaryAppendArguments &arguments) {
  return arguments.append;
}
template <typename Arguments> Arguments &cacheOf(Arguments &arguments) {
  return arguments;
}

template <auto kernel, typename Arguments>
class CacheCommand : public HostCommand {
public:
  Arguments arguments = {};
  uint32_t layer = 0;
  bool source = false;
  Status run(const HostCall &call) override {
    cacheOf(arguments).batch =
        source ? sourceBatch(*call.state) : raggedBatch(*call.state);
    cacheOf(arguments).pages = call.state->layers[layer];
    cacheOf(arguments).stepRows = call.stepRows;
    kernel(arguments, call.pool);
    return {};
  }
};

class CachedAttentionCommand
    : public CacheCommand<host::cachedAttention,
                          host::CachedAttentionArguments> {
public:
  std::optional<host::AttentionSumOrder> order;

  Status run(const HostCall &call) override {
    host::KeyRotation &rotation = arguments.keyRotation;
    if (rotation.count && !rotation.tables) {
      tables = host::keyRotationTables(rotation);
      rotation.tables = &tables;
    }
    return CacheCommand::run(call);
  }

private:
  host::KeyRotationTables tables; ///< filled by the first run
};

class PositionsCommand : public HostCommand {
public:
  int32_t *output = nullptr;
  int64_t tokens = 0;
  Status run(const HostCall &call) override {
    if (tokens > 0)
      std::memcpy(output, call.state->positions, size_t(tokens) * 4);
    return {};
  }
};

class SelectRowsCommand : public HostCommand {
public:
  const float *input = nullptr;
  float *output = nullptr;
  int64_t rows = 0, columns = 0;
  Status run(const HostCall &call) override {
    for (int64_t row = 0; row < rows; ++row)
      std::memcpy(output + row * columns,
                  input + int64_t(call.state->logitRows[row]) * columns,
                  size_t(columns) * 4);
    return {};
  }
};

/// The kernel takes i32 positions; those of a graph are i64 and are narrowed
/// first.
class RotaryTableCommand : public HostCommand {
public:
  host::RotaryTableArguments arguments;
  const int64_t *wide = nullptr;
  std::vector<int32_t> narrow;
  Status run(const HostCall &call) override {
    if (wide) {
      for (size_t i = 0; i < narrow.size(); ++i) {
        narrow[i] = int32_t(wide[i]);
        if (narrow[i] != wide[i])
          return Status(StatusCode::InvalidArgument,
                        "position " + std::to_string(wide[i]) +
                            " does not fit 32 bits");
      }
      arguments.positions = narrow.data();
    }
    host::rotaryTable(arguments, call.pool);
    return {};
  }
};

/// Strides of a mask of rank 0 to 4 against [B, H, S, T]; a dimension of 1
/// broadcasts.
Status fillMask(StepBinder &binder, uint32_t id,
                host::AttentionArguments &arguments) {
  const BoundValue &mask = binder.value(id);
  const int64_t full[4] = {arguments.batch, arguments.heads, arguments.queries,
                           arguments.keys};
  int64_t strides[4] = {0, 0, 0, 0};
  int64_t stride = 1;
  bool fits = mask.shape.size() <= 4 && !mask.strided() && !mask.quantized;
  for (size_t i = 0; fits && i < mask.shape.size(); ++i) {
    int64_t size = mask.shape[mask.shape.size() - 1 - i];
    fits = size == 1 || size == full[3 - i];
    strides[3 - i] = size == 1 ? 0 : stride;
    stride *= size;
  }
  bool attend = mask.type == plan::DType::Bool;
  if (!fits || (!attend && mask.type != plan::DType::F32))
    return binder.fail(
        std::string("its mask is ") + plan::EnumNameDType(mask.type) + " " +
        spell(mask.shape) + "; expected Bool or F32, broadcastable to " +
        spell({full[0], full[1], full[2], full[3]}));
  arguments.mask.batchStride = strides[0];
  arguments.mask.headStride = strides[1];
  arguments.mask.queryStride = strides[2];
  arguments.mask.keyStride = strides[3];
  if (attend)
    binder.point(arguments.mask.attend, id);
  else
    binder.point(arguments.mask.added, id);
  return {};
}

} // namespace

/// The part of a rotation that does not depend on its heads: the table and what
/// it turns. `arguments.tokens` and `headSize` are set.
static Status fillRotation(StepBinder &binder, host::RotaryArguments &arguments,
                           uint32_t cos, uint32_t sin) {
  int64_t half = arguments.rotated / 2;
  if (half == 0 || arguments.rotated % 2 != 0 ||
      arguments.rotated > arguments.headSize)
    return binder.fail("cannot rotate " + std::to_string(arguments.rotated) +
                       " of " + std::to_string(arguments.headSize) +
                       " channels");
  int64_t tableElements = binder.value(cos).elements;
  arguments.tableRows = tableElements / half;
  QOPT_RETURN_IF_ERROR(
      binder.expect("cos", cos, plan::DType::F32, tableElements));
  QOPT_RETURN_IF_ERROR(
      binder.expect("sin", sin, plan::DType::F32, tableElements));
  if (tableElements % half != 0 ||
      (arguments.tokens > 0 && (arguments.tableRows == 0 ||
                                arguments.tokens % arguments.tableRows != 0)))
    return binder.fail("its table does not fit " +
                       std::to_string(arguments.tokens) + " tokens");
  binder.point(arguments.cos, cos);
  binder.point(arguments.sin, sin);
  return {};
}

BoundCommand bindRotary(StepBinder &binder, const plan::Rotary &step) {
  using Command = KernelCommand<host::rotary, host::RotaryArguments>;
  auto command = std::make_unique<Command>();
  host::RotaryArguments &arguments = command->arguments;
  arguments.heads = step.heads();
  arguments.headSize = step.head_size();
  arguments.rotated = step.rotated();
  arguments.interleaved = step.interleaved();
  int64_t row = binder.product({arguments.heads, arguments.headSize});
  if (row <= 0)
    return binder.fail("its heads are empty or too many");
  arguments.tokens = binder.value(step.x()).elements / row;
  QOPT_RETURN_IF_ERROR(fillRotation(binder, arguments, step.cos(), step.sin()));
  QOPT_RETURN_IF_ERROR(binder.expectRows(
      "its input", step.x(), arguments.tokens, row, arguments.inputStride));
  QOPT_RETURN_IF_ERROR(binder.expectRows(
      "its result", step.y(), arguments.tokens, row, arguments.outputStride));
  binder.point(arguments.input, step.x());
  binder.point(arguments.output, step.y());
  return std::unique_ptr<HostCommand>(std::move(command));
}

BoundCommand bindRotaryAppend(StepBinder &binder,
                              const plan::RotaryAppend &step) {
  using Command = CacheCommand<host::rotaryAppend, host::RotaryAppendArguments>;
  auto command = std::make_unique<Command>();
  host::RotaryArguments &queries = command->arguments.queries;
  host::KvAppendArguments &append = command->arguments.append;
  command->layer = step.layer();
  QOPT_RETURN_IF_ERROR(fillCache(binder, step.layer(), append.layout));
  int64_t tokens = binder.function.inputs().tokens;
  int64_t row = append.layout.keyHeads * append.layout.headSize;
  queries.tokens = tokens;
  queries.headSize = append.layout.headSize;
  queries.rotated = step.rotated();
  queries.interleaved = step.interleaved();
  QOPT_RETURN_IF_ERROR(fillRotation(binder, queries, step.cos(), step.sin()));
  QOPT_RETURN_IF_ERROR(
      binder.expectRows("k", step.k(), tokens, row, append.keyStride));
  QOPT_RETURN_IF_ERROR(
      binder.expectRows("v", step.v(), tokens, row, append.valueStride));
  binder.point(append.key, step.k());
  binder.point(append.value, step.v());
  if ((step.q() >= 0) != (step.y() >= 0) ||
      (step.q() >= 0) != (step.heads() > 0))
    return binder.fail("queries, their heads and their result come together");
  if (step.q() >= 0) {
    queries.heads = step.heads();
    int64_t queryRow = binder.product({queries.heads, queries.headSize});
    QOPT_RETURN_IF_ERROR(binder.expectRows("q", uint32_t(step.q()), tokens,
                                           queryRow, queries.inputStride));
    QOPT_RETURN_IF_ERROR(binder.expectRows("its result", uint32_t(step.y()),
                                           tokens, queryRow,
                                           queries.outputStride));
    binder.point(queries.input, uint32_t(step.q()));
    binder.point(queries.output, uint32_t(step.y()));
  }
  return std::unique_ptr<HostCommand>(std::move(command));
}

BoundCommand bindRotaryTable(StepBinder &binder,
                             const plan::RotaryTable &step) {
  auto command = std::make_unique<RotaryTableCommand>();
  host::RotaryTableArguments &arguments = command->arguments;
  arguments.tokens = binder.value(step.positions()).elements;
  arguments.count = binder.value(step.inverse_frequencies()).elements;
  arguments.scale = step.scale();
  int64_t elements = binder.product({arguments.tokens, arguments.count});
  bool wide = binder.value(step.positions()).type == plan::DType::I64;
  QOPT_RETURN_IF_ERROR(binder.expect("positions", step.positions(),
                                     wide ? plan::DType::I64 : plan::DType::I32,
                                     arguments.tokens));
  QOPT_RETURN_IF_ERROR(binder.expect("inverse_frequencies",
                                     step.inverse_frequencies(),
                                     plan::DType::F32, arguments.count));
  QOPT_RETURN_IF_ERROR(
      binder.expect("cos", step.cos(), plan::DType::F32, elements));
  QOPT_RETURN_IF_ERROR(
      binder.expect("sin", step.sin(), plan::DType::F32, elements));
  if (wide) {
    command->narrow.resize(size_t(arguments.tokens));
    binder.point(command->wide, step.positions());
  } else {
    binder.point(arguments.positions, step.positions());
  }
  binder.point(arguments.inverseFrequencies, step.inverse_frequencies());
  binder.point(arguments.cos, step.cos());
  binder.point(arguments.sin, step.sin());
  return std::unique_ptr<HostCommand>(std::move(command));
}

/// Shapes, options and mask of attention and its gradient; both tables name
/// them alike. `y` is its result.
template <typename Table>
static Status fillAttention(StepBinder &binder, const Table &step,
                            host::AttentionArguments &arguments) {
  const BoundValue &q = binder.value(step.q());
  const BoundValue &k = binder.value(step.k());
  const BoundValue &v = binder.value(step.v());
  if (q.shape.size() != 4 || k.shape.size() != 4 || v.shape.size() != 4 ||
      k.shape[0] != q.shape[0] || v.shape[0] != q.shape[0] ||
      k.shape[1] != v.shape[1] || k.shape[2] != v.shape[2] ||
      k.shape[3] != q.shape[3] || k.shape[1] == 0 ||
      q.shape[2] % k.shape[1] != 0)
    return binder.fail("q " + spell(q.shape) + ", k " + spell(k.shape) +
                       " and v " + spell(v.shape) + " do not fit");
  arguments.batch = q.shape[0];
  arguments.queries = q.shape[1];
  arguments.heads = q.shape[2];
  arguments.headSize = q.shape[3];
  arguments.keyHeads = k.shape[1];
  arguments.keys = k.shape[2];
  arguments.valueSize = v.shape[3];
  arguments.options = {step.scale(), step.causal(), int64_t(step.window()),
                       step.softcap()};
  QOPT_RETURN_IF_ERROR(
      binder.expect("q", step.q(), plan::DType::F32, q.elements));
  QOPT_RETURN_IF_ERROR(
      binder.expect("k", step.k(), plan::DType::F32, k.elements));
  QOPT_RETURN_IF_ERROR(
      binder.expect("v", step.v(), plan::DType::F32, v.elements));
  QOPT_RETURN_IF_ERROR(
      binder.expect("its result", step.y(), plan::DType::F32,
                    binder.product({arguments.batch, arguments.queries,
                                    arguments.heads, arguments.valueSize})));
  if (step.mask() >= 0)
    QOPT_RETURN_IF_ERROR(fillMask(binder, uint32_t(step.mask()), arguments));
  binder.point(arguments.query, step.q());
  binder.point(arguments.key, step.k());
  binder.point(arguments.value, step.v());
  binder.point(arguments.output, step.y());
  return {};
}

BoundCommand bindAttention(StepBinder &binder, const plan::Attention &step) {
  using Command = KernelCommand<host::attention, host::AttentionArguments>;
  auto command = std::make_unique<Command>();
  QOPT_RETURN_IF_ERROR(fillAttention(binder, step, command->arguments));
  return std::unique_ptr<HostCommand>(std::move(command));
}

BoundCommand bindAttentionGradient(StepBinder &binder,
                                   const plan::AttentionGradient &step) {
  using Command =
      KernelCommand<host::attentionGradient, host::AttentionGradientArguments>;
  auto command = std::make_unique<Command>();
  host::AttentionGradientArguments &arguments = command->arguments;
  QOPT_RETURN_IF_ERROR(fillAttention(binder, step, arguments.forward));
  arguments.distance = step.distance();
  auto expectLike = [&](const char *name, uint32_t id, uint32_t like) {
    return binder.expect(name, id, plan::DType::F32,
                         binder.value(like).elements);
  };
  QOPT_RETURN_IF_ERROR(
      expectLike("the result's gradient", step.gradient(), step.y()));
  QOPT_RETURN_IF_ERROR(expectLike("q's gradient", step.q_gradient(), step.q()));
  QOPT_RETURN_IF_ERROR(expectLike("k's gradient", step.k_gradient(), step.k()));
  QOPT_RETURN_IF_ERROR(expectLike("v's gradient", step.v_gradient(), step.v()));
  binder.point(arguments.outputGradient, step.gradient());
  binder.point(arguments.queryGradient, step.q_gradient());
  binder.point(arguments.keyGradient, step.k_gradient());
  binder.point(arguments.valueGradient, step.v_gradient());
  return std::unique_ptr<HostCommand>(std::move(command));
}

BoundCommand bindKvAppend(StepBinder &binder, const plan::KvAppend &step) {
  using Command = CacheCommand<host::kvAppend, host::KvAppendArguments>;
  auto command = std::make_unique<Command>();
  host::KvAppendArguments &arguments = command->arguments;
  command->layer = step.layer();
  QOPT_RETURN_IF_ERROR(fillCache(binder, step.layer(), arguments.layout));
  int64_t row = arguments.layout.keyHeads * arguments.layout.headSize;
  int64_t tokens = binder.function.inputs().tokens;
  if (binder.function.function().kind() == plan::FunctionKind::Encoder)
    tokens = binder.function.sourceLength();
  QOPT_RETURN_IF_ERROR(
      binder.expectRows("k", step.k(), tokens, row, arguments.keyStride));
  QOPT_RETURN_IF_ERROR(
      binder.expectRows("v", step.v(), tokens, row, arguments.valueStride));
  binder.point(arguments.key, step.k());
  binder.point(arguments.value, step.v());
  return std::unique_ptr<HostCommand>(std::move(command));
}

/// What rotates keys that are stored ahead of it.
static Status fillKeyRotation(StepBinder &binder,
                              const plan::CachedAttention &step,
                              int64_t headSize, host::KeyRotation &rotation) {
  if (step.key_frequencies() < 0)
    return {};
  auto id = uint32_t(step.key_frequencies());
  rotation.count = binder.value(id).elements;
  rotation.scale = step.key_scale();
  rotation.interleaved = step.key_interleaved();
  if (rotation.count <= 0 || rotation.count > headSize / 2)
    return binder.fail("cannot rotate keys of " + std::to_string(headSize) +
                       " channels by " + std::to_string(rotation.count) +
                       " frequencies");
  if (step.orders() && step.orders()->size() > 0)
    return binder.fail("keys that are stored ahead of their rotation have no "
                       "order of a GPU's sums");
  QOPT_RETURN_IF_ERROR(binder.expect("the frequencies of its keys", id,
                                     plan::DType::F32, rotation.count));
  binder.point(rotation.frequencies, id);
  return {};
}

/// What is added for the distance of a key.
static Status fillBiases(StepBinder &binder, const plan::CachedAttention &step,
                         host::CachedAttentionArguments &arguments) {
  if (step.distance_biases() < 0)
    return {};
  auto id = uint32_t(step.distance_biases());
  arguments.distances = binder.value(id).columns();
  if (arguments.distances <= 0)
    return binder.fail("it has biases of no distance");
  QOPT_RETURN_IF_ERROR(
      binder.expect("its biases", id, plan::DType::F32,
                    binder.product({arguments.heads, arguments.distances})));
  binder.point(arguments.distanceBiases, id);
  return {};
}

BoundCommand bindCachedAttention(StepBinder &binder,
                                 const plan::CachedAttention &step) {
  auto command = std::make_unique<CachedAttentionCommand>();
  host::CachedAttentionArguments &arguments = command->arguments;
  command->layer = step.layer();
  command->source = step.source();
  QOPT_RETURN_IF_ERROR(fillCache(binder, step.layer(), arguments.layout));
  arguments.heads = step.heads();
  if (arguments.heads == 0 || arguments.heads % arguments.layout.keyHeads != 0)
    return binder.fail(
        std::to_string(arguments.heads) + " heads do not share " +
        std::to_string(arguments.layout.keyHeads) + " key heads");
  arguments.options = {step.scale(), true, int64_t(step.window()),
                       step.softcap()};
  int64_t row = arguments.heads * arguments.layout.headSize;
  int64_t tokens = binder.function.inputs().tokens;
  QOPT_RETURN_IF_ERROR(
      binder.expectRows("q", step.q(), tokens, row, arguments.queryStride));
  QOPT_RETURN_IF_ERROR(binder.expectRows("its result", step.y(), tokens, row,
                                         arguments.outputStride));
  if (step.alibi_slopes() >= 0)
    QOPT_RETURN_IF_ERROR(binder.expect("its slopes",
                                       uint32_t(step.alibi_slopes()),
                                       plan::DType::F32, arguments.heads));
  QOPT_RETURN_IF_ERROR(fillBiases(binder, step, arguments));
  QOPT_RETURN_IF_ERROR(fillKeyRotation(binder, step, arguments.layout.headSize,
                                       arguments.keyRotation));
  // New tokens of a sequence are at most those that no other must have.
  QOPT_RETURN_IF_ERROR(chooseOrder(
      binder, step.orders(), 1 + tokens - binder.function.inputs().sequences,
      command->order, arguments.order));
  if (arguments.order && (command->source || arguments.distanceBiases))
    return binder.fail("attention to a source or with biases of distances has "
                       "no order of a GPU's sums");
  if (arguments.order)
    if (Status status = isValid(*arguments.order, arguments.layout);
        !status.ok())
      return binder.fail(status.message());
  binder.point(arguments.query, step.q());
  binder.point(arguments.output, step.y());
  binder.pointOptional(arguments.alibiSlopes, step.alibi_slopes());
  return std::unique_ptr<HostCommand>(std::move(command));
}

BoundCommand bindPositions(StepBinder &binder, const plan::Positions &step) {
  auto command = std::make_unique<PositionsCommand>();
  command->tokens = binder.function.inputs().tokens;
  QOPT_RETURN_IF_ERROR(
      binder.expect("its result", step.y(), plan::DType::I32, command->tokens));
  binder.point(command->output, step.y());
  return std::unique_ptr<HostCommand>(std::move(command));
}

BoundCommand bindSelectRows(StepBinder &binder, const plan::SelectRows &step) {
  auto command = std::make_unique<SelectRowsCommand>();
  const BoundValue &x = binder.value(step.x());
  int64_t tokens = binder.function.inputs().tokens;
  command->rows = binder.function.inputs().logitRows;
  command->columns = x.columns();
  QOPT_RETURN_IF_ERROR(
      binder.expect("its input", step.x(), plan::DType::F32,
                    binder.product({tokens, command->columns})));
  QOPT_RETURN_IF_ERROR(
      binder.expect("its result", step.y(), plan::DType::F32,
                    binder.product({command->rows, command->columns})));
  binder.point(command->input, step.x());
  binder.point(command->output, step.y());
  return std::unique_ptr<HostCommand>(std::move(command));
}

} // namespace qopt::runtime

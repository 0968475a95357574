// Steps that know no transformer: generated code, strided copies, conversions
// of element types.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Quant/FloatConversion.h"
#include "runtime/ElementTypes.h"
#include "runtime/host/program/HostDevice.h"
#include "runtime/host/program/HostSteps.h"
#include "runtime/plan/IndexCheck.h"
#include "runtime/plan/PlanFormat.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>

namespace qopt::runtime {
namespace {

class GeneratedCommand : public HostCommand {
public:
  GeneratedKernel kernel = nullptr;
  std::shared_ptr<CodeObject> object; ///< keeps the code loaded
  std::vector<void *> buffers;
  std::vector<int64_t> sizes;
  int64_t extent = 0, grain = 1;
  Status run(const HostCall &call) override {
    call.pool.parallelFor(extent, grain, [this](int64_t begin, int64_t end) {
      kernel(buffers.data(), sizes.data(), begin, end);
    });
    return {};
  }
};

/// Indices are few beside what is read at them: one thread reads them.
class CheckIndicesCommand : public HostCommand {
public:
  const int32_t *indices = nullptr; ///< or …
  const int64_t *wideIndices = nullptr;
  int64_t count = 0;
  std::vector<int64_t> limits; ///< of elements 0, 1, …, again and again
  bool fromZero = false;       ///< negative ones do not count from the end

  Status run(const HostCall &) override {
    for (int64_t i = 0; i < count; ++i) {
      int64_t index = indices ? indices[i] : wideIndices[i];
      int64_t limit = limits[size_t(i) % limits.size()];
      if (index < (fromZero ? 0 : -limit) || index >= limit)
        return outsideOfAxis(index, i, limit, fromZero);
    }
    return {};
  }
};

/// One side of a strided copy.
struct CopySide {
  int64_t offset = 0;
  std::vector<int64_t> strides;
};

class CopyCommand : public HostCommand {
public:
  const uint8_t *input = nullptr;
  uint8_t *output = nullptr;
  int64_t elementBytes = 0;
  int64_t total = 0;
  std::vector<int64_t> shape;
  CopySide from, to;

  Status run(const HostCall &call) override {
    if (total == 0)
      return {};
    int64_t inner = shape.empty() ? 1 : shape.back();
    int64_t grain = std::max<int64_t>(1, 65536 / (inner * elementBytes));
    call.pool.parallelFor(
        total / inner, grain,
        [this](int64_t begin, int64_t end) { copyRows(begin, end); });
    return {};
  }

  /// Merges neighbouring dimensions that are contiguous on both sides: fewer,
  /// longer rows.
  void collapse() {
    for (size_t i = shape.size(); i-- > 1;) {
      bool joins = from.strides[i - 1] == from.strides[i] * shape[i] &&
                   to.strides[i - 1] == to.strides[i] * shape[i];
      if (!joins)
        continue;
      shape[i - 1] *= shape[i];
      from.strides[i - 1] = from.strides[i];
      to.strides[i - 1] = to.strides[i];
      shape.erase(shape.begin() + int64_t(i));
      from.strides.erase(from.strides.begin() + int64_t(i));
      to.strides.erase(to.strides.begin() + int64_t(i));
    }
  }

private:
  void copyRows(int64_t begin, int64_t end) {
    size_t outer = shape.empty() ? 0 : shape.size() - 1;
    int64_t inner = shape.empty() ? 1 : shape.back();
    int64_t fromStride = shape.empty() ? 1 : from.strides.back();
    int64_t toStride = shape.empty() ? 1 : to.strides.back();
    for (int64_t row = begin; row < end; ++row) {
      int64_t source = from.offset, target = to.offset, rest = row;
      for (size_t i = outer; i-- > 0;) {
        source += rest % shape[i] * from.strides[i];
        target += rest % shape[i] * to.strides[i];
        rest /= shape[i];
      }
      copyRow(input + source * elementBytes, fromStride,
              output + target * elementBytes, toStride, inner);
    }
  }

  void copyRow(const uint8_t *source, int64_t fromStride, uint8_t *target,
               int64_t toStride, int64_t count) const {
    if (fromStride == 1 && toStride == 1) {
      std::memcpy(target, source, size_t(count * elementBytes));
      return;
    }
    switch (elementBytes) {
    case 1:
      return copyElements<uint8_t>(source, fromStride, target, toStride, count);
    case 2:
      return copyElements<uint16_t>(source, fromStride, target, toStride,
                                    count);
    case 4:
      return copyElements<uint32_t>(source, fromStride, target, toStride,
                                    count);
    default:
      return copyElements<uint64_t>(source, fromStride, target, toStride,
                                    count);
    }
  }

  template <typename T>
  static void copyElements(const uint8_t *source, int64_t fromStride,
                           uint8_t *target, int64_t toStride, int64_t count) {
    const T *in = reinterpret_cast<const T *>(source);
    T *out = reinterpret_cast<T *>(target);
    for (int64_t i = 0; i < count; ++i)
      out[i * toStride] = in[i * fromStride];
  }
};

/// Whether every element that a side touches lies in [0, elements).
bool staysInside(const CopySide &side, const std::vector<int64_t> &shape,
                 int64_t elements) {
  __int128 low = side.offset, high = side.offset;
  for (size_t i = 0; i < shape.size(); ++i) {
    __int128 span = __int128(shape[i] - 1) * side.strides[i];
    (span < 0 ? low : high) += span;
  }
  return low >= 0 && high < elements;
}

// A conversion goes through the widest type of its source's kind, in blocks:
// integers through int64 (uint64 keeps its bits), floating point through f64,
// which holds every value of all of them.
constexpr int64_t castBlock = 512;

struct CastBlock {
  bool isFloat = false;
  bool isUnsigned64 = false;
  std::array<double, castBlock> reals;
  std::array<int64_t, castBlock> integers;
};

template <typename T>
void loadIntegers(const uint8_t *bytes, int64_t count, CastBlock &block) {
  const T *values = reinterpret_cast<const T *>(bytes);
  for (int64_t i = 0; i < count; ++i)
    block.integers[size_t(i)] = +values[i]; // promoted: keeps its sign
}

template <typename T, typename Widen>
void loadReals(const uint8_t *bytes, int64_t count, CastBlock &block,
               Widen widen) {
  const T *values = reinterpret_cast<const T *>(bytes);
  block.isFloat = true;
  for (int64_t i = 0; i < count; ++i)
    block.reals[size_t(i)] = widen(values[i]);
}

/// The verifier has seen the type. Elements that no machine has are codes here:
/// they are copied, never converted.
ElementStorage storageOf(plan::DType type) {
  return findElementType(DType(type))->storage;
}

void load(plan::DType type, const uint8_t *bytes, int64_t count,
          CastBlock &block) {
  auto same = [](auto value) { return double(value); };
  block.isFloat = false;
  block.isUnsigned64 = type == plan::DType::U64;
  switch (storageOf(type)) {
  case ElementStorage::F32:
    return loadReals<float>(bytes, count, block, same);
  case ElementStorage::F64:
    return loadReals<double>(bytes, count, block, same);
  case ElementStorage::F16:
    return loadReals<uint16_t>(bytes, count, block, quant::halfToFloat);
  case ElementStorage::BF16:
    return loadReals<uint16_t>(bytes, count, block, quant::bfloat16ToFloat);
  case ElementStorage::I8:
    return loadIntegers<int8_t>(bytes, count, block);
  case ElementStorage::I16:
    return loadIntegers<int16_t>(bytes, count, block);
  case ElementStorage::I32:
    return loadIntegers<int32_t>(bytes, count, block);
  case ElementStorage::I64:
  case ElementStorage::U64:
    return loadIntegers<int64_t>(bytes, count, block);
  case ElementStorage::U8:
  case ElementStorage::Bool:
    return loadIntegers<uint8_t>(bytes, count, block);
  case ElementStorage::U16:
    return loadIntegers<uint16_t>(bytes, count, block);
  case ElementStorage::U32:
    return loadIntegers<uint32_t>(bytes, count, block);
  }
}

double realOf(const CastBlock &block, size_t i) {
  if (block.isFloat)
    return block.reals[i];
  return block.isUnsigned64 ? double(uint64_t(block.integers[i]))
                            : double(block.integers[i]);
}

/// Integers wrap as two's complement does; reals are cut towards zero and
/// clamped to the type (NaN gives 0).
template <typename T>
void storeIntegers(const CastBlock &block, int64_t count, uint8_t *bytes) {
  T *values = reinterpret_cast<T *>(bytes);
  // The largest real below 2^bits; `max` itself may round up to 2^bits.
  const double high =
      std::nextafter(std::ldexp(1.0, std::numeric_limits<T>::digits), 0.0);
  const double low = double(std::numeric_limits<T>::min());
  for (int64_t i = 0; i < count; ++i) {
    if (!block.isFloat) {
      values[i] = T(block.integers[size_t(i)]);
      continue;
    }
    double real = block.reals[size_t(i)];
    values[i] = std::isnan(real)
                    ? T(0)
                    : (real > high ? std::numeric_limits<T>::max()
                                   : T(std::max(std::trunc(real), low)));
  }
}

template <typename T, typename Narrow>
void storeReals(const CastBlock &block, int64_t count, uint8_t *bytes,
                Narrow narrow) {
  T *values = reinterpret_cast<T *>(bytes);
  for (int64_t i = 0; i < count; ++i)
    values[i] = narrow(realOf(block, size_t(i)));
}

void store(plan::DType type, const CastBlock &block, int64_t count,
           uint8_t *bytes) {
  switch (storageOf(type)) {
  case ElementStorage::F32:
    return storeReals<float>(block, count, bytes,
                             [](double value) { return float(value); });
  case ElementStorage::F64:
    return storeReals<double>(block, count, bytes,
                              [](double value) { return value; });
  case ElementStorage::F16:
    return storeReals<uint16_t>(block, count, bytes, [](double value) {
      return quant::floatToHalf(float(value));
    });
  case ElementStorage::BF16:
    return storeReals<uint16_t>(block, count, bytes, [](double value) {
      return quant::floatToBfloat16(float(value));
    });
  case ElementStorage::I8:
    return storeIntegers<int8_t>(block, count, bytes);
  case ElementStorage::I16:
    return storeIntegers<int16_t>(block, count, bytes);
  case ElementStorage::I32:
    return storeIntegers<int32_t>(block, count, bytes);
  case ElementStorage::I64:
    return storeIntegers<int64_t>(block, count, bytes);
  case ElementStorage::U8:
    return storeIntegers<uint8_t>(block, count, bytes);
  case ElementStorage::U16:
    return storeIntegers<uint16_t>(block, count, bytes);
  case ElementStorage::U32:
    return storeIntegers<uint32_t>(block, count, bytes);
  case ElementStorage::U64:
    return storeIntegers<uint64_t>(block, count, bytes);
  case ElementStorage::Bool:
    return storeReals<uint8_t>(
        block, count, bytes, [](double value) { return uint8_t(value != 0); });
  }
}

class CastCommand : public HostCommand {
public:
  const uint8_t *input = nullptr;
  uint8_t *output = nullptr;
  plan::DType from = plan::DType::F32, to = plan::DType::F32;
  int64_t count = 0;
  Status run(const HostCall &call) override {
    call.pool.parallelFor(
        (count + castBlock - 1) / castBlock, 32,
        [this](int64_t begin, int64_t end) {
          CastBlock block;
          for (int64_t i = begin; i < end; ++i) {
            int64_t first = i * castBlock;
            int64_t size = std::min(castBlock, count - first);
            load(from, input + first * bytesOf(from), size, block);
            store(to, block, size, output + first * bytesOf(to));
          }
        });
    return {};
  }
};

} // namespace

BoundCommand bindGenerated(StepBinder &binder, const plan::Generated &step) {
  StatusOr<std::shared_ptr<Module>> module = binder.modules(step.segment());
  if (!module.ok())
    return module.status();
  auto command = std::make_unique<GeneratedCommand>();
  command->object = static_cast<HostModule &>(**module).object;
  StatusOr<GeneratedKernel> kernel =
      command->object->kernel(step.symbol()->str());
  if (!kernel.ok())
    return binder.fail(kernel.status().message());
  command->kernel = *kernel;
  std::vector<uint32_t> ids;
  if (step.operands())
    ids.assign(step.operands()->begin(), step.operands()->end());
  if (step.outputs())
    ids.insert(ids.end(), step.outputs()->begin(), step.outputs()->end());
  command->buffers.resize(ids.size());
  for (size_t i = 0; i < ids.size(); ++i) {
    if (binder.value(ids[i]).strided())
      return binder.fail("generated code takes contiguous tensors only");
    binder.point(command->buffers[i], ids[i]);
  }
  if (step.indices())
    for (uint32_t symbol : *step.indices())
      command->sizes.push_back(binder.function.symbol(symbol));
  command->extent = binder.function.symbol(step.extent());
  command->grain =
      int64_t(std::clamp<uint64_t>(step.grain(), 1, uint64_t(1) << 40));
  return std::unique_ptr<HostCommand>(std::move(command));
}

BoundCommand bindCopy(StepBinder &binder, const plan::Copy &step) {
  auto command = std::make_unique<CopyCommand>();
  const BoundValue &x = binder.value(step.x());
  const BoundValue &y = binder.value(step.y());
  if (x.type != y.type || x.quantized || y.quantized || x.strided() ||
      y.strided())
    return binder.fail("both sides must be contiguous tensors of one type");
  command->elementBytes = bytesOf(x.type);
  command->total = 1;
  auto read = [&](const flatbuffers::Vector<uint32_t> *symbols) {
    std::vector<int64_t> values;
    if (symbols)
      for (uint32_t symbol : *symbols)
        values.push_back(binder.function.symbol(symbol));
    return values;
  };
  command->shape = read(step.shape());
  command->from = {binder.function.symbol(step.x_offset()),
                   read(step.x_strides())};
  command->to = {binder.function.symbol(step.y_offset()),
                 read(step.y_strides())};
  for (int64_t size : command->shape)
    if (size < 0 ||
        __builtin_mul_overflow(command->total, size, &command->total))
      return binder.fail("its shape is not valid");
  if (command->total > 0 &&
      (!staysInside(command->from, command->shape, x.elements) ||
       !staysInside(command->to, command->shape, y.elements)))
    return binder.fail("it would leave its tensors");
  if (command->total > 0)
    command->collapse();
  binder.point(command->input, step.x());
  binder.point(command->output, step.y());
  return std::unique_ptr<HostCommand>(std::move(command));
}

BoundCommand bindCheckIndices(StepBinder &binder,
                              const plan::CheckIndices &step) {
  auto command = std::make_unique<CheckIndicesCommand>();
  const BoundValue &x = binder.value(step.x());
  bool wide = x.type == plan::DType::I64;
  QOPT_RETURN_IF_ERROR(binder.expect("its input", step.x(),
                                     wide ? plan::DType::I64 : plan::DType::I32,
                                     x.elements));
  for (uint32_t limit : *step.limits())
    command->limits.push_back(
        std::max<int64_t>(binder.function.symbol(limit), 0));
  auto limits = int64_t(command->limits.size());
  if (limits > 1 && x.columns() != limits)
    return binder.fail("its tuples have " + std::to_string(x.columns()) +
                       " places; expected " + std::to_string(limits));
  command->count = x.elements;
  command->fromZero = step.from_zero();
  if (wide)
    binder.point(command->wideIndices, step.x());
  else
    binder.point(command->indices, step.x());
  return std::unique_ptr<HostCommand>(std::move(command));
}

BoundCommand bindCast(StepBinder &binder, const plan::Cast &step) {
  auto command = std::make_unique<CastCommand>();
  const BoundValue &x = binder.value(step.x());
  const BoundValue &y = binder.value(step.y());
  if (x.type != y.type && std::max(x.type, y.type) > plan::DType::Bool)
    return binder.fail("elements of 8-bit floats and of less than a byte are "
                       "copied, not converted");
  command->from = x.type;
  command->to = y.type;
  command->count = x.elements;
  QOPT_RETURN_IF_ERROR(
      binder.expect("its input", step.x(), x.type, x.elements));
  QOPT_RETURN_IF_ERROR(
      binder.expect("its result", step.y(), y.type, x.elements));
  binder.point(command->input, step.x());
  binder.point(command->output, step.y());
  return std::unique_ptr<HostCommand>(std::move(command));
}

} // namespace qopt::runtime

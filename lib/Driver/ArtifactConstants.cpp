// The layouts of a weight and the segment of small constants.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/ArtifactConstants.h"
#include "lib/Driver/WeightMemory.h"
#include "lib/Kernels/SkinnyLinear/SkinnyLinearGroups.h"
#include "lib/Kernels/SkinnyLinear/SkinnyLinearPack.h"
#include "runtime/host/LinearLayout.h"
#include "runtime/plan/PlanFormat.h"

#include <numeric>

using namespace mlir;

namespace qopt::driver {

/// Stands for the segment of small constants until it has an index.
constexpr uint32_t smallSegment = UINT32_MAX;
/// Tiles that are packed at a time: bounds the memory of packing.
constexpr int64_t tilesAtOnce = 256;

plan::WeightLayout planLayout(ir::Layout layout) {
  switch (layout) {
  case ir::Layout::Canonical:
    return plan::WeightLayout::RowMajor;
  case ir::Layout::HostTiled:
    return plan::WeightLayout::HostTiled;
  case ir::Layout::CudaStrips:
    return plan::WeightLayout::CudaStrips;
  case ir::Layout::CudaStripPairs:
    return plan::WeightLayout::CudaStripPairs;
  case ir::Layout::HostTiledSums:
    return plan::WeightLayout::HostTiledSums;
  }
  llvm_unreachable("every layout has a name in the plan");
}

/// Why the weight has its format, where the plan knows it.
std::string ArtifactConstants::reasonFor(Value source) const {
  const PlannedWeight *planned =
      precision ? precision->find(weightNameOf(source)) : nullptr;
  return planned ? reasonOf(*planned) : "";
}

StatusOr<ConstantPlace> ArtifactConstants::addBytes(ArrayRef<char> bytes) {
  small.resize((small.size() + 63) / 64 * 64);
  ConstantPlace place{smallSegment, small.size(), bytes.size()};
  small.insert(small.end(), bytes.begin(), bytes.end());
  if (small.empty()) // a tensor of no elements lies in a segment too
    small.push_back(0);
  return place;
}

/// The place of an absent constant. Constants are kept in memory until they are
/// written; a model that was not read says what it wants.
StatusOr<ConstantPlace> ArtifactConstants::addZeros(uint64_t size) {
  constexpr uint64_t mostBytes = uint64_t(1) << 30;
  if (size > mostBytes || small.size() > mostBytes)
    return Status(StatusCode::OutOfResources,
                  "a constant of " + std::to_string(size) +
                      " bytes that is no weight of a linear was not read; "
                      "expected at most 1 GiB of such");
  return addBytes(std::vector<char>(size));
}

StatusOr<ConstantPlace> ArtifactConstants::addElements(ElementsAttr elements) {
  if (use != ArtifactUse::Sizes || !ir::areAbsent(elements))
    return ConstantPool::addElements(elements);
  return addZeros(ir::storedSize(elements.getShapedType()));
}

StatusOr<ConstantPlace> ArtifactConstants::addWidened(ElementsAttr halves) {
  if (use != ArtifactUse::Sizes || !ir::areAbsent(halves))
    return ConstantPool::addWidened(halves);
  return addZeros(uint64_t(halves.getNumElements()) * sizeof(float));
}

StatusOr<ConstantPlace> ArtifactConstants::addWeight(Value weight) {
  auto place = writeWeight(weight);
  if (!place && firstFailure.ok())
    firstFailure = place.status();
  return place;
}

/// In i32, as kernels add them: a row has so few columns that it fits.
StatusOr<std::vector<int32_t>> ArtifactConstants::sumRows(Value weight) {
  auto type = cast<ir::WeightType>(weight.getType());
  int64_t columns = type.getColumns();
  std::vector<int32_t> sums(size_t(type.getRows()));
  if (use == ArtifactUse::Sizes)
    return sums;
  int64_t first = 0;
  for (const WeightPart &part : partsOf(weight)) {
    auto canonical = evaluatePart(part, threads);
    if (!canonical)
      return canonical.status();
    int64_t bytes = quant::bytesPerRow(canonical->format, columns);
    forRows(threads, canonical->rows, [&](int64_t from, int64_t to) {
      std::vector<int16_t> codes(static_cast<size_t>(columns));
      for (int64_t row = from; row < to; ++row) {
        quant::unpackCodes(canonical->format,
                           canonical->stored().codes + row * bytes, columns,
                           codes.data());
        sums[size_t(first + row)] =
            std::accumulate(codes.begin(), codes.end(), int32_t(0));
      }
    });
    first += canonical->rows;
  }
  releaseSources(weight);
  return sums;
}

StatusOr<ConstantPlace> ArtifactConstants::addRowSums(Value weight) {
  auto sums = sumRows(weight);
  if (!sums) {
    if (firstFailure.ok())
      firstFailure = sums.status();
    return sums.status();
  }
  return addBytes(ArrayRef(reinterpret_cast<const char *>(sums->data()),
                           sums->size() * sizeof(int32_t)));
}

static bool isTiled(ir::Layout layout) {
  return layout == ir::Layout::HostTiled || layout == ir::Layout::HostTiledSums;
}

/// Of the layouts for the host's kernels.
static StatusOr<host::LinearLayout> tiledLayout(ir::Layout layout,
                                                const quant::Format &format,
                                                int64_t rows, int64_t columns) {
  auto tiled = host::linearLayout(format, rows, columns);
  return tiled && layout == ir::Layout::HostTiledSums ? tiled->withRowSums()
                                                      : tiled;
}

/// Of what a layout is packed into ahead of writing.
static int64_t packingBytes(const WeightPart &part, ir::WeightType type) {
  const auto &[rows, format] = part.range;
  ir::Layout layout = type.getLayout();
  if (layout == ir::Layout::Canonical)
    return 0;
  if (!isTiled(layout))
    return kernels::skinny_linear::packedBytes(
        {rows, format}, type.getColumns(),
        layout == ir::Layout::CudaStripPairs);
  auto tiled = tiledLayout(layout, format, rows, type.getColumns());
  return tiled ? std::min(tilesAtOnce, tiled->tiles()) * tiled->tileBytes() : 0;
}

StatusOr<ConstantPlace> ArtifactConstants::writeWeight(Value weight) {
  auto type = cast<ir::WeightType>(weight.getType());
  std::string name = weightNameOf(weight);
  if (progress)
    progress(name, total ? static_cast<double>(done) / total : 0);
  auto segment = writer.beginSegment(plan::SegmentKind::Weight, name);
  if (!segment)
    return segment.status();
  int64_t most = 0;
  for (const WeightPart &part : partsOf(weight)) {
    QOPT_RETURN_IF_ERROR(writePart(part, type, *segment));
    most = std::max(most, evaluationBytes(part) + packingBytes(part, type));
  }
  working = std::max(working, uint64_t(most + sourceBytes(weight)));
  uint64_t bytes = writer.segmentSize();
  releaseSources(weight);
  if (!sharesWeights) {
    QOPT_RETURN_IF_ERROR(writer.endSegment());
    return ConstantPlace{*segment, 0, bytes};
  }
  auto place = writer.endSharedSegment();
  if (!place)
    return place.status();
  // Where another function of the artifact has it there is a record of it.
  for (; *place != *segment && !records.empty() &&
         records.back()->segment == *segment;
       records.pop_back())
    summaries.pop_back();
  return ConstantPlace{*place, 0, bytes};
}

Status ArtifactConstants::writePart(const WeightPart &part, ir::WeightType type,
                                    uint32_t segment) {
  uint64_t offset = writer.segmentSize();
  std::string name;
  for (Value source : part.sources)
    name += (name.empty() ? "" : "+") + weightNameOf(source);
  if (use == ArtifactUse::Sizes) {
    QOPT_RETURN_IF_ERROR(writeHole(type.getLayout(), part, type.getColumns()));
  } else {
    auto canonical = evaluatePart(part, threads);
    if (!canonical)
      return canonical.status();
    Status status = writeAs(type.getLayout(), *canonical);
    if (status.code() == StatusCode::Unsupported) // of its values
      return Status(status.code(),
                    "weight \"" + name + "\": " + status.message());
    QOPT_RETURN_IF_ERROR(status);
  }
  uint64_t bytes = writer.segmentSize() - offset;
  done += part.range.rows * type.getColumns();
  auto record = std::make_unique<plan::WeightRecordT>();
  record->name = name;
  record->rows = part.range.rows;
  record->columns = type.getColumns();
  record->format = runtime::fromFormat(part.range.format);
  record->layout = planLayout(type.getLayout());
  record->segment = segment;
  record->offset = offset;
  record->bytes = bytes;
  record->reason = reasonFor(part.sources.front());
  records.push_back(std::move(record));
  summaries.push_back({name, quant::spell(part.range.format), part.range.rows,
                       type.getColumns(), bytes});
  return Status();
}

/// As many bytes as writeAs writes.
Status ArtifactConstants::writeHole(ir::Layout layout, const WeightPart &part,
                                    int64_t columns) {
  const auto &[rows, format] = part.range;
  switch (layout) {
  case ir::Layout::HostTiled:
  case ir::Layout::HostTiledSums: {
    auto tiled = tiledLayout(layout, format, rows, columns);
    return tiled ? writer.appendHole(uint64_t(tiled->packedBytes()))
                 : tiled.status();
  }
  case ir::Layout::CudaStrips:
  case ir::Layout::CudaStripPairs:
    return writer.appendHole(uint64_t(kernels::skinny_linear::packedBytes(
        {rows, format}, columns, layout == ir::Layout::CudaStripPairs)));
  case ir::Layout::Canonical:
    break;
  }
  for (int64_t size : {quant::codeBytes(format, rows, columns),
                       quant::scaleBytes(format, rows, columns),
                       quant::zeroBytes(format, rows, columns)})
    if (size) {
      QOPT_RETURN_IF_ERROR(writer.alignTo(64));
      QOPT_RETURN_IF_ERROR(writer.appendHole(uint64_t(size)));
    }
  return Status();
}

Status ArtifactConstants::writeAs(ir::Layout layout,
                                  const CanonicalWeight &weight) {
  switch (layout) {
  case ir::Layout::Canonical:
    return writeCanonical(weight);
  case ir::Layout::HostTiled:
  case ir::Layout::HostTiledSums:
    return writePacked(layout, weight);
  case ir::Layout::CudaStrips:
    return writeStrips(weight, /*paired=*/false);
  case ir::Layout::CudaStripPairs:
    return writeStrips(weight, /*paired=*/true);
  }
  llvm_unreachable("every layout has a writer");
}

Status ArtifactConstants::writeStrips(const CanonicalWeight &weight,
                                      bool paired) {
  kernels::skinny_linear::Segment segment = {weight.rows, weight.format};
  QOPT_RETURN_IF_ERROR(kernels::skinny_linear::checkZeroProducts(
      segment, weight.columns, weight.stored()));
  std::vector<uint8_t> packed(
      kernels::skinny_linear::packedBytes(segment, weight.columns, paired));
  kernels::skinny_linear::packSegment(segment, weight.columns, paired,
                                      weight.stored(), packed.data());
  return writer.append(packed);
}

Status ArtifactConstants::writePacked(ir::Layout asked,
                                      const CanonicalWeight &weight) {
  auto layout = tiledLayout(asked, weight.format, weight.rows, weight.columns);
  if (!layout)
    return layout.status();
  int64_t tileBytes = layout->tileBytes();
  std::vector<uint8_t> tiles(tilesAtOnce * tileBytes);
  for (int64_t first = 0; first < layout->tiles(); first += tilesAtOnce) {
    int64_t count = std::min(tilesAtOnce, layout->tiles() - first);
    std::fill(tiles.begin(), tiles.end(), 0);
    forRows(threads, count, [&](int64_t from, int64_t to) {
      host::packTiles(*layout, weight.stored(), first + from, to - from,
                      tiles.data() + from * tileBytes);
    });
    QOPT_RETURN_IF_ERROR(
        writer.append({tiles.data(), static_cast<size_t>(count * tileBytes)}));
  }
  int64_t bookBytes = layout->packedBytes() - layout->bookOffset();
  if (!bookBytes)
    return Status();
  std::vector<uint8_t> book(static_cast<size_t>(bookBytes));
  host::packBook(*layout, weight.stored(), book.data());
  return writer.append(book);
}

Status ArtifactConstants::writeCanonical(const CanonicalWeight &weight) {
  const quant::Format &format = weight.format;
  quant::StoredRows stored = weight.stored();
  auto part = [&](const uint8_t *bytes, int64_t size) -> Status {
    if (!size)
      return Status();
    QOPT_RETURN_IF_ERROR(writer.alignTo(64));
    return writer.append({bytes, static_cast<size_t>(size)});
  };
  QOPT_RETURN_IF_ERROR(part(
      stored.codes, quant::codeBytes(format, weight.rows, weight.columns)));
  QOPT_RETURN_IF_ERROR(part(
      stored.scales, quant::scaleBytes(format, weight.rows, weight.columns)));
  return part(stored.zeros,
              quant::zeroBytes(format, weight.rows, weight.columns));
}

Status ArtifactConstants::finish(plan::FunctionT &function) {
  if (small.empty())
    return Status();
  auto segment =
      writer.addSegment(plan::SegmentKind::Constant, "constants", small);
  if (!segment)
    return segment.status();
  for (auto &value : function.values)
    if (value->storage == plan::Storage::Constant &&
        value->index == smallSegment)
      value->index = *segment;
  return Status();
}

} // namespace qopt::driver

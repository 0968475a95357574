// wmma.load and wmma.store of f16, bf16, tf32, f64, bytes, four bits and one,
// as nvcc's mma.h makes them. Wmma.h says where a fragment keeps an element.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/ops/Wmma.h"

#include "runtime/emulator/MemoryAccess.h"

#include "runtime/emulator/checks/UndefinedMemory.h"
#include "runtime/emulator/ops/WholeWarp.h"

#include <cstring>

namespace qopt::emulator {
namespace {

/// A matrix of an instruction: its size, its elements' bytes, and the bits that
/// strides count. Elements of less than bytes are moved by the word.
struct Part {
  int rows = 0, columns = 0;
  unsigned bytes = 0, bits = 0;
  int perRegister() const { return int(registerBytes() / bytes); }
  unsigned registerBytes() const { return std::max(bytes, 4u); }
  int elements() const { return rows * columns; }
};

/// Packed into Inst::offset2, beside the address's offset.
int64_t packPart(const Part &part, bool byColumns) {
  return part.rows | part.columns << 8 | int64_t(part.bytes) << 16 |
         int64_t(byColumns) << 24 | int64_t(part.bits) << 32;
}
Part unpackPart(int64_t packed) {
  return {int(packed & 0xff), int(packed >> 8 & 0xff),
          unsigned(packed >> 16 & 0xff), unsigned(packed >> 32)};
}

/// What is undefined of the elements that wmma.store stores now. False when the
/// launch stops.
bool storeFragment(Warp &warp, const Inst &inst, uint32_t mask, unsigned bytes,
                   const uint64_t *addresses) {
  if (!warp.block.grid.options.checks.initialised)
    return true;
  UndefinedStore store;
  store.source = 2 + warp.fragment.result;
  store.firstByte = warp.fragment.byte;
  store.bytes = bytes;
  return storeUndefined(warp, inst, mask, addresses, store);
}

/// Loads or stores every lane's elements, one after the other.
template <bool Load> Step runMove(Warp &warp, const Inst &inst) {
  const Part part = unpackPart(inst.offset2);
  const bool byColumns = inst.offset2 >> 24 & 1;
  const auto space = ptx::Space(inst.aux & SpaceBits);
  const unsigned registers = Load ? inst.destinations : inst.sources - 2u;
  const uint32_t *strides = warp.lanes32(inst.source(1));
  uint64_t bases[lanes], addresses[lanes];
  uint8_t *places[lanes];
  computeAddresses(warp, inst, 0, bases);
  const int each = part.perRegister();
  for (unsigned slot = 0; slot < registers * unsigned(each); ++slot) {
    const unsigned number = slot / unsigned(each);
    const unsigned at = slot % unsigned(each) * part.bytes;
    for (int lane = 0; lane < int(lanes); ++lane) {
      const int element =
          (int(number * lanes) + lane) * each + int(slot) % each;
      const int index = element % part.elements();
      const uint64_t row = uint64_t(index / part.columns);
      const uint64_t column = uint64_t(index % part.columns);
      const uint64_t stride = uint64_t(strides[lane]) * part.bits / 8;
      addresses[lane] =
          bases[lane] + (byColumns ? column * stride + row * part.bytes
                                   : row * stride + column * part.bytes);
    }
    uint32_t good = fullMask;
    warp.fragment = {number, at};
    if (!resolve(warp, inst, space, good, part.bytes,
                 Load ? AccessKind::Read : AccessKind::Write, addresses,
                 places) ||
        (!Load && !storeFragment(warp, inst, good, part.bytes, addresses)))
      return Step::Stopped;
    uint8_t *bytes =
        warp.file + (Load ? inst.destination(number) : inst.source(2 + number));
    for (uint32_t rest = good; rest; rest &= rest - 1) {
      const size_t lane = size_t(std::countr_zero(rest));
      uint8_t *element = bytes + lane * part.registerBytes() + at;
      std::memcpy(Load ? element : places[lane], Load ? places[lane] : element,
                  part.bytes);
    }
  }
  if (!Load)
    ++warp.block.events;
  return Step::Next;
}

/// The bytes of an element of a matrix that is loaded or stored, 4 where it has
/// less than one; 0 where PTX has no such matrix.
unsigned elementBytes(const Decoder &decoder, MatrixShape shape) {
  using ptx::Type;
  const Type type = decoder.type();
  const bool operand = decoder.has("a") || decoder.has("b");
  const bool large =
      shape == squareShape || shape == tallShape || shape == wideShape;
  switch (type) {
  case Type::F16:
    return large ? 2 : 0;
  case Type::BF16:
    return large && operand ? 2 : 0;
  case Type::S8:
  case Type::U8:
    return large && operand ? 1 : 0;
  case Type::S32:
    return (large || shape == nibbleShape || shape == bitShape) && !operand ? 4
                                                                            : 0;
  case Type::S4:
  case Type::U4:
    return shape == nibbleShape && operand ? 4 : 0;
  case Type::B1:
    return shape == bitShape && operand ? 4 : 0;
  case Type::TF32:
    return shape == singleShape && operand ? 4 : 0;
  case Type::F32:
    return (large || shape == singleShape) && !operand ? 4 : 0;
  case Type::F64:
    return shape == doubleShape ? 8 : 0;
  default:
    return 0;
  }
}

/// wmma.load.a.sync.aligned.row.m16n16k16.global.f16 {…}, [p], stride;
/// wmma.store.d.… [p], {…}, stride; the stride may be left out.
bool decodeMove(Decoder &decoder, bool load, MatrixShape shape) {
  const unsigned size = elementBytes(decoder, shape);
  if (size == 0)
    return decoder.unknown();
  Part part = {int(shape.m), int(shape.n), size, bitsOf(decoder.type())};
  if (decoder.has("a"))
    part.columns = int(shape.k);
  else if (decoder.has("b"))
    part.rows = int(shape.k);
  bool byColumns = decoder.has("col");
  const int tight = byColumns ? part.rows : part.columns;
  if (part.bits < 8) {
    if (decoder.has("b") != byColumns)
      return decoder.fail("expected a by rows ('.row') and b by columns "
                          "('.col')");
    byColumns = false;
    part.rows = int(shape.m);
    part.columns = int(shape.k * part.bits / 32);
  }
  ptx::Space space = spaceOf(decoder);
  const ptx::Operand &data = decoder.operand(load ? 0 : 1);
  const OperandType kind = Decoder::kindOf(decoder.type());
  if (!decoder.expectOperands(2, 3) ||
      (load && !decoder.destinations(data, kind)) ||
      !decoder.address(decoder.operand(load ? 1 : 0), space))
    return false;
  if (decoder.operands() == 3) {
    if (!decoder.source(decoder.operand(2), OperandType::Word))
      return false;
  } else {
    decoder.constant(uint64_t(tight), OperandType::Word);
  }
  if (!load && !decoder.sources(data, kind))
    return false;
  if (int(countOf(data)) * part.perRegister() * int(lanes) < part.elements())
    return decoder.fail("too few registers for the fragment");
  decoder.inst.offset2 = packPart(part, byColumns);
  decoder.inst.aux = uint32_t(space);
  decoder.inst.traits =
      uint8_t(Traits::Address) | uint8_t(load ? Traits::Loads : Traits::Stores);
  const auto bytes = uint16_t(unsigned(part.elements()) / lanes * part.bytes);
  (load ? decoder.access.read : decoder.access.written) = bytes;
  return decoder.emit(load ? &onWholeWarp<runMove<true>>
                           : &onWholeWarp<runMove<false>>);
}

bool decodeWmma(Decoder &decoder) {
  const MatrixShape shape = matrixShapeOf(decoder.instruction());
  if (shape.m == 0)
    return decoder.unknown();
  if (decoder.has("mma"))
    return decodeWmmaProduct(decoder, shape);
  return decodeMove(decoder, decoder.has("load"), shape);
}

} // namespace

void addWmma(FamilyTable &table) { table["wmma"] = &decodeWmma; }

} // namespace qopt::emulator

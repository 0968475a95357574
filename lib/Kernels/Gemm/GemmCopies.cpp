// From memory to the stages: 16 bytes a thread and copy. What lies behind the
// last token, column or strip is zero there and is not read.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/Builder/Fragments.h"
#include "lib/Kernels/Gemm/GemmBody.h"
#include "lib/Quant/Element.h"

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::gemm;
using skinny_linear::stripRows;
using skinny_linear::unitColumns;

constexpr int64_t chunkBytes = 16, planeBytes = stripRows * 2;
constexpr int64_t chunksOfRow = panelRowBytes / chunkBytes;

void Body::ifStep(Int step, llvm::function_ref<void()> body) {
  if (!step.constant() || !steps.constant())
    return k.when(step < steps, body);
  if (*step.constant() < *steps.constant())
    body();
}

Body::Copy Body::copyOf(Int stage, int step) {
  return {stage, firstStep + int64_t(step), std::nullopt, std::nullopt};
}

Int Body::presentIn(const Copy &copy, Int bytes) {
  return copy.exists ? select(*copy.exists, bytes, k.constant(0)) : bytes;
}

// Activations -----------------------------------------------------------------

/// Thread i has, in every panel, chunk i mod 8 of tokens i/8, i/8 + threads/8 …
void Body::copyActivations(const Copy &copy) {
  Int row = k.thread() / chunksOfRow, chunk = k.thread() % chunksOfRow;
  Int destination = activations(copy.stage).row(row).at(chunk * chunkBytes);
  int64_t rowBytes = problem.columns * elementBytes;
  Int column =
      copy.step * plan.columnsPerStep + chunk * (chunkBytes / elementBytes);
  Global source = k.pointer(Arguments::X)
                      .at(firstToken + row, rowBytes)
                      .at(chunk, chunkBytes)
                      .at(copy.step, schedule.panels * panelRowBytes);
  if (pieceBytes)
    copyChunks(copy, destination, source, column);
  else if (hasPiece(copy, 0, 1))
    copyElements(copy, destination, source, column);
}

/// A chunk in pieces as large as the rows are aligned.
void Body::copyChunks(const Copy &copy, Int destination, Global source,
                      Int column) {
  int64_t rows = schedule.threads() / chunksOfRow;
  int64_t all = schedule.blockTokens() * schedule.panels;
  Int limit = presentIn(copy, tokens - firstToken - k.thread() / chunksOfRow);
  for (int64_t panel = 0; panel < schedule.panels; ++panel)
    for (int64_t piece = 0; piece < chunkBytes; piece += pieceBytes) {
      int64_t at = panel * panelRowBytes + piece;
      Int there = limit;
      if (problem.columns % plan.columnsPerStep)
        there = select(column + at / elementBytes < k.constant(problem.columns),
                       limit, k.constant(0));
      for (int64_t row = 0; row < schedule.blockTokens(); row += rows) {
        if (!hasPiece(copy, panel * schedule.blockTokens() + row, all))
          continue;
        Int present = select(k.constant(row) < there, k.constant(pieceBytes),
                             k.constant(0));
        copyAsync(destination +
                      (panel * plan.panelBytes + row * panelRowBytes + piece),
                  source.at(row * problem.columns * elementBytes + at), present,
                  unsigned(pieceBytes));
      }
    }
}

/// Rows that start at any element: one element at a time, stored by the thread.
void Body::copyElements(const Copy &copy, Int destination, Global source,
                        Int column) {
  for (int64_t panel = 0; panel < schedule.panels; ++panel)
    copyPanelElements(copy, destination + panel * plan.panelBytes,
                      source.at(panel * panelRowBytes),
                      column + panel * (panelRowBytes / elementBytes));
}

void Body::copyPanelElements(const Copy &copy, Int destination, Global source,
                             Int column) {
  int64_t rows = schedule.threads() / chunksOfRow;
  int64_t perWord = 4 / elementBytes, rowBytes = problem.columns * elementBytes;
  Int limit = presentIn(copy, tokens - firstToken - k.thread() / chunksOfRow);
  k.loop(k.constant(0), k.constant(schedule.blockTokens()), k.constant(rows),
         {}, [&](Int row, Kernel::Values) {
           Global start = source.at(row, rowBytes);
           std::vector<Int> words;
           for (int64_t i = 0; i < chunkBytes / elementBytes; ++i) {
             Flag there =
                 row < limit && column + i < k.constant(problem.columns);
             Kernel::Values bits =
                 k.when(there, {k.constant(0).value}, [&](Kernel::Values) {
                   Global element = start.at(i * elementBytes);
                   Int loaded = isInt8() ? loadBytes(k, element, 1)
                                         : k.loadHalfWord(element);
                   return Kernel::Values{loaded.value};
                 });
             Int element = Int{{&k, bits[0]}}
                           << (i % perWord * elementBytes * 8);
             if (i % perWord)
               words.back() = words.back() | element;
             else
               words.push_back(element);
           }
           k.storeShared(destination + row * panelRowBytes, 0, words);
           return Kernel::Values();
         });
}

// Weights ---------------------------------------------------------------------

void Body::copyWeights(const Copy &copy) {
  int64_t stepsPerUnit = unitColumns / plan.columnsPerStep;
  int64_t units = (problem.columns + unitColumns - 1) / unitColumns;
  Int unit = copy.step / stepsPerUnit, inUnit = copy.step % stepsPerUnit;
  Global source = k.pointer(Arguments::Weights)
                      .at(part.packedOffset)
                      .at(firstStrip, units * part.unitBytes)
                      .at(unit, part.unitBytes);
  copyCodes(copy, source, inUnit);
  if (part.groups && hasPiece(copy, 0, 1))
    copyPlanes(copy, source, inUnit);
}

void Body::copyCodes(const Copy &copy, Global unit, Int inUnit) {
  std::vector<skinny_linear::CodePlane> planes =
      skinny_linear::codePlanes(format());
  int64_t unitProducts = unitColumns / 16, products = plan.columnsPerStep / 16;
  for (size_t i = 0; i < planes.size(); ++i) {
    int64_t bytes = planes[i].blockBytes() * products /
                    skinny_linear::productsPerBlock(format());
    copyCodePlane(
        copy,
        unit.at(skinny_linear::codePlaneOffset(format(), i, unitProducts))
            .at(inUnit, bytes),
        skinny_linear::codePlaneOffset(format(), i, products), bytes);
  }
}

/// A plane of strips' codes: a power of two of chunks each, so that a thread
/// has the same chunk of every threads/chunks-th strip.
void Body::copyCodePlane(const Copy &copy, Global unit, int64_t offset,
                         int64_t bytes) {
  int64_t chunks = bytes / chunkBytes;
  int64_t each = schedule.threads() / chunks;
  int64_t stripStride =
      (problem.columns + unitColumns - 1) / unitColumns * part.unitBytes;
  Int strip = k.thread() / chunks, chunk = k.thread() % chunks;
  Int destination = copy.stage + plan.activationBytes +
                    strip * part.stripBytes + chunk * chunkBytes;
  Global source = unit.at(strip, stripStride).at(chunk, chunkBytes);
  bool padded = part.strips % schedule.blockStrips() != 0;
  Int limit = k.constant(part.strips) - firstStrip - strip;
  auto copyStrip = [&](int64_t i) {
    Int present = presentIn(copy, k.constant(chunkBytes));
    if (padded)
      present = select(k.constant(i) < limit, present, k.constant(0));
    copyAsync(destination + (i * part.stripBytes + offset),
              source.at(i * stripStride), present, chunkBytes);
  };
  if (each > schedule.blockStrips()) {
    if (hasPiece(copy, 0, 1))
      k.when(strip < schedule.blockStrips(), [&] { copyStrip(0); });
    return;
  }
  for (int64_t i = 0; i < schedule.blockStrips(); i += each)
    if (hasPiece(copy, i, schedule.blockStrips()))
      copyStrip(i);
}

/// Scales and zero points of the groups that the stage's columns belong to.
void Body::copyPlanes(const Copy &copy, Global unit, Int inUnit) {
  bool ofStage = skinny_linear::planesPerUnit(format()) > 1;
  Int firstGroup = ofStage ? inUnit * part.groups : k.constant(0);
  int64_t offset = part.codeBytes;
  auto copyGroups = [&](int64_t begin, int64_t each) {
    copyPlane(copy, unit.at(begin).at(firstGroup, each), offset,
              part.groups * each);
    offset += part.groups * each;
  };
  if (format().isGrouped())
    copyGroups(skinny_linear::scalesOffset(format()),
               skinny_linear::scalePlaneBytes(format()));
  if (!format().isSymmetric())
    copyGroups(skinny_linear::zerosOffset(format()),
               skinny_linear::zeroPlaneBytes(format()));
  if (format().hasScaleFields())
    copyPlane(copy, unit.at(skinny_linear::scaleUnitsOffset(format())), offset,
              planeBytes);
}

void Body::copyPlane(const Copy &copy, Global unit, int64_t offset,
                     int64_t bytes) {
  int64_t stripStride =
      (problem.columns + unitColumns - 1) / unitColumns * part.unitBytes;
  int64_t chunks = bytes / chunkBytes;
  int64_t all = schedule.blockStrips() * chunks;
  auto copyChunk = [&](Int i) {
    Int strip = i / chunks, chunk = i % chunks;
    Global source = unit.at(strip, stripStride).at(chunk, chunkBytes);
    Flag there = firstStrip + strip < k.constant(part.strips);
    Int present = presentIn(copy, k.constant(chunkBytes));
    copyAsync(copy.stage + plan.activationBytes + strip * part.stripBytes +
                  offset + chunk * chunkBytes,
              source, select(there, present, k.constant(0)), chunkBytes);
  };
  if (all <= schedule.threads())
    return k.when(k.thread() < all, [&] { copyChunk(k.thread()); });
  k.loop(k.thread(), k.constant(all), k.constant(schedule.threads()), {},
         [&](Int i, Kernel::Values) {
           copyChunk(i);
           return Kernel::Values();
         });
}

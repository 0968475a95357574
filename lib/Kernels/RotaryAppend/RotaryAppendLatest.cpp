// Positions that are read with 16 bits beside their codes. What a token's warp
// does for a head of keys or values, behind its codes:
//
//   the sequence's first token: where there are several, latest rows from the
//     slot to the rows of the step; then the latest new ones to the slot
//   each token: its row to those of the step, where there are several; to the
//     slot's first positions, where it is one
//
// As with groups of keys one warp alone reads and writes what of a slot several
// tokens share.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/RotaryAppend/RotaryAppendBody.h"

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::rotary_append;

/// Rows of the slot whose loads are under way at once.
constexpr int64_t rowsAtOnce = 4;

/// The row of the slot that position `at` has while it is one of the latest.
Global Body::latestRow(Kind kind, Int head, Int at) {
  Global rows = slotBegin.at(head, cache.halvesHeadBytes());
  if (kind == Kind::Value)
    rows = rows.at(cache.recent * cache.keyHalfBytes());
  return rows.at(at % cache.recent, halfBytes(kind));
}

Global Body::stepRow(Kind kind, Int head, Int at) {
  Int base = max(context - cache.recent, k.constant(0)) & ~int64_t(15);
  Int count = (length - base + 15) & ~int64_t(15);
  int64_t keyBytes = cache.keyHalfBytes();
  Global rows = rowsBegin.at(head * count, keyBytes + cache.valueHalfBytes());
  if (kind == Kind::Value)
    rows = rows.at(count, keyBytes);
  return rows.at(at - base, halfBytes(kind));
}

void Body::storeHalves(Kind kind, const Head &row, Global place) {
  for (int64_t chunk = 0; chunk < int64_t(row.size()); ++chunk)
    where(chunk, halfBytes(kind) / 2, [&] {
      storeRun(k, place.at(channel(chunk), 2), row[size_t(chunk)], activation);
    });
}

/// What is older than the latest positions is copied, too, up to 16 of it: no
/// query sees it, but products have it as numbers.
void Body::copyLatest(Kind kind, Int head) {
  Int base = max(context - cache.recent, k.constant(0)) & ~int64_t(15);
  k.loop(base, context, k.constant(rowsAtOnce), {},
         [&](Int at, Kernel::Values) {
           std::vector<Head> rows;
           std::vector<Int> places;
           for (int64_t i = 0; i < rowsAtOnce; ++i) {
             places.push_back(min(at + i, context - 1));
             Global row = latestRow(kind, head, places.back());
             rows.push_back(load(
                 [&](Int channel) {
                   return loadRun(k, row.at(channel, 2), activation, width);
                 },
                 sizeOf(kind)));
           }
           for (size_t i = 0; i < rows.size(); ++i)
             storeHalves(kind, rows[i], stepRow(kind, head, places[i]));
           return Kernel::Values();
         });
}

void Body::appendLatest(Kind kind, Int head) {
  Flag isFirst = token == firstToken;
  Flag several = context + 1 < length;
  k.when(isFirst && several, [&] { copyLatest(kind, head); });
  Flag isOfFirst = position < k.constant(cache.first);
  k.when(several || isOfFirst, [&] {
    Head row = newRow(kind, head, position);
    k.when(several,
           [&] { storeHalves(kind, row, stepRow(kind, head, position)); });
    if (!cache.first)
      return;
    Global rows =
        slotBegin.at(head, cache.halvesHeadBytes())
            .at(cache.recent * (cache.keyHalfBytes() + cache.valueHalfBytes()));
    if (kind == Kind::Value)
      rows = rows.at(cache.first * cache.keyHalfBytes());
    k.when(isOfFirst,
           [&] { storeHalves(kind, row, rows.at(position, halfBytes(kind))); });
  });
  k.when(isFirst, [&] {
    k.loop(max(context, length - cache.recent), length, k.constant(1), {},
           [&](Int at, Kernel::Values) {
             storeHalves(kind, newRow(kind, head, at),
                         latestRow(kind, head, at));
             return Kernel::Values();
           });
  });
}

// Numbers in groups. Of a value, lanes that have its groups' channels find
// their scales together. Keys share a scale in each channel with their
// neighbours; what a token's warp does for a key head, where c positions came
// before the step and L there are after it:
//
//   the last token of a group that began in this step: codes of the group, from
//     the rows of the step
//   the sequence's first token: codes of the group that c lies in, where it is
//     full now, from the slot and the rows of the step; then the rows of the
//     open group that L lies in go to the slot
//   all others: nothing
//
// So one warp alone reads and writes a sequence's slot, in this order, and
// every row that becomes codes is rotated by the warp that needs it.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/RotaryAppend/RotaryAppendBody.h"

#include <limits>

using namespace mlir;
using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::rotary_append;

/// Rows of the slot whose loads are under way at once.
constexpr int64_t rowsAtOnce = 4;

void Body::locateGroups(Int sequence) {
  auto number = [&](int index, Int at) {
    return k.loadConstant(argument(index).at(at, 4), 1).front();
  };
  context = number(places.contextStarts, sequence);
  firstToken = number(places.tokenStarts, sequence);
  length = context + number(places.tokenStarts, sequence + 1) - firstToken;
  slotBegin =
      argument(places.pages)
          .at(number(places.pageTable, sequence * problem.pageTableStride +
                                           (problem.pageTableStride - 1)),
              cache.slotBytes());
  if (cache.recent)
    rowsBegin =
        argument(places.rows)
            .at(firstToken + sequence * (cache.recent + cache.stepPadding),
                cache.stepRowBytes());
}

/// The rotated key, or the value, of position `at`, a new one, as its type
/// holds it.
Body::Head Body::newRow(Kind kind, Int head, Int at) {
  Int before = token, place = position;
  token = firstToken + at - context;
  position = at;
  Head key = rotated(kind, head, readerOf(sourceOf(kind, head), sizeOf(kind)));
  token = before;
  position = place;
  for (Run &run : key)
    run = roundRun(k, run, activation);
  return key;
}

Global Body::openKey(Int head, Int at) {
  if (cache.recent)
    return latestRow(Kind::Key, head, at);
  return slotBegin.at(head, cache.openHeadBytes())
      .at(at % cache.keyGroup(), cache.openRowBytes());
}

/// Calls `body` with each key of the full group from `start` on.
Kernel::Values Body::forGroup(Int head, Int start, Kernel::Values values,
                              KeyBody body) {
  Int end = start + cache.keyGroup(), begun = min(context, end);
  // The last one takes the place of those that are too many.
  values =
      k.loop(start, begun, k.constant(rowsAtOnce), values,
             [&](Int at, Kernel::Values now) {
               std::vector<Head> keys;
               std::vector<Int> places;
               for (int64_t i = 0; i < rowsAtOnce; ++i) {
                 places.push_back(min(at + i, begun - 1));
                 Global row = openKey(head, places.back());
                 keys.push_back(load(
                     [&](Int channel) {
                       return loadRun(k, row.at(channel, 2), activation, width);
                     },
                     cache.keySize));
               }
               for (size_t i = 0; i < keys.size(); ++i)
                 now = body(keys[i], places[i], now);
               return now;
             });
  return k.loop(max(start, context), end, k.constant(1), values,
                [&](Int at, Kernel::Values now) {
                  return body(newRow(Kind::Key, head, at), at, now);
                });
}

/// Of the lane's channels: the largest keys, and the largest of what is left of
/// zero with its sign turned.
std::pair<Run, Run> Body::rangesOf(Int head, Int start) {
  int64_t count = chunks(cache.keySize) * width;
  Real least = k.real(-std::numeric_limits<double>::infinity());
  Kernel::Values values(size_t(2 * count), least.value);
  values = forGroup(head, start, values,
                    [&](const Head &key, Int, Kernel::Values now) {
                      size_t next = 0;
                      for (const Run &chunk : key)
                        for (Real value : chunk)
                          for (double sign : {1.0, -1.0}) {
                            Real before{{&k, now[next]}};
                            now[next++] = max(before, value * sign).value;
                          }
                      return now;
                    });
  std::pair<Run, Run> ranges;
  for (size_t i = 0; i < values.size(); i += 2) {
    ranges.first.push_back({{&k, values[i]}});
    ranges.second.push_back({{&k, values[i + 1]}});
  }
  return ranges;
}

/// From the largest number and minus the smallest.
Body::ChannelCodes Body::channelCodesOf(Real most, Real least,
                                        const quant::Format &format) {
  const quant::Element &element = quant::elementOf(format.element);
  ChannelCodes codes;
  codes.offset = k.real(0);
  if (format.zero != quant::ZeroType::Float) {
    codes.scale = scaleOf(max(max(most, least), k.real(0)), element.maxCode);
    return codes;
  }
  double levels = double(1 << (element.bits - 1));
  // −∞ where no key is a number.
  Flag some = most > k.real(-std::numeric_limits<double>::infinity());
  Real range = select(some, most + least, k.real(0));
  codes.scale = scaleOf(range, int(2 * levels - 1));
  Real offset = select(some, least * -1, k.real(0)) + codes.scale.step * levels;
  codes.offset = roundRun(k, {offset}, k.builder().getF16Type()).front();
  return codes;
}

/// Codes of quotients, stored by the lanes that have channels of the row.
void Body::storeGroupCodes(Global codes, int64_t chunk, int64_t row,
                           const Run &quotients, const quant::Format &format) {
  const quant::Element &element = quant::elementOf(format.element);
  bool offsets = format.zero == quant::ZeroType::Float;
  int lowest = offsets ? -element.maxCode - 1 : -element.maxCode;
  if (element.bits < 4)
    return storeShortCodes(codes, chunk, row, quotients, element, lowest);
  where(chunk, row, [&] {
    storeCodes(codes, chunk, codesOf(quotients, element, lowest), element);
  });
}

// Values ----------------------------------------------------------------------

/// Of a number for each of the lane's chunks, the largest of the chunk's group,
/// in all lanes that have channels of it.
Run Body::largestOfGroups(const Run &ofChunks, int64_t group) {
  Run result;
  int64_t lanes = group / width;
  if (lanes <= 32 && (lanes & (lanes - 1)) == 0) { // side by side
    for (Real value : ofChunks) {
      for (int64_t distance = lanes / 2; distance > 0; distance /= 2)
        value = max(value, fromLaneAcross(k, value, int(distance)));
      result.push_back(value);
    }
    return result;
  }
  Real none = k.real(-std::numeric_limits<double>::infinity());
  result.assign(ofChunks.size(), none);
  for (int64_t index = 0; index < cache.valueSize / group; ++index) {
    auto isOf = [&](size_t chunk) {
      return channel(int64_t(chunk)) / group == index;
    };
    Real largest = none;
    for (size_t chunk = 0; chunk < ofChunks.size(); ++chunk)
      largest = max(largest, select(isOf(chunk), ofChunks[chunk], none));
    largest = reduceWarp(k, largest, Reduction::Max);
    for (size_t chunk = 0; chunk < ofChunks.size(); ++chunk)
      result[chunk] = select(isOf(chunk), largest, result[chunk]);
  }
  return result;
}

/// `run`: the head's codes of values in the page, with their scales behind.
void Body::appendValueGroups(const Head &head, Global run) {
  int64_t group = cache.valueGroup(), row = cache.valueRow();
  Real none = k.real(-std::numeric_limits<double>::infinity());
  Run most, least; // of each chunk; the latter with its sign turned
  for (const Run &values : head) {
    most.push_back(none), least.push_back(none);
    for (Real value : values) {
      most.back() = max(most.back(), value);
      least.back() = max(least.back(), value * -1);
    }
  }
  most = largestOfGroups(most, group);
  least = largestOfGroups(least, group);
  Global codes = run.at(slot, cache.valueCodeBytes() / cache.page);
  Global numbers = run.at(cache.valueCodeBytes()).at(slot, 2);
  Type f16 = k.builder().getF16Type();
  for (int64_t chunk = 0; chunk < chunks(row); ++chunk) {
    ChannelCodes code =
        channelCodesOf(most[size_t(chunk)], least[size_t(chunk)], cache.value);
    Run quotients;
    for (Real value : head[size_t(chunk)]) {
      if (cache.valueOffsets())
        value = value - code.offset;
      quotients.push_back(value * code.scale.inverse);
    }
    storeGroupCodes(codes, chunk, row, quotients, cache.value);
    Int first = channel(chunk);
    k.when(first < k.constant(cache.valueSize) && first % group == 0, [&] {
      Global place = numbers.at(first / group, cache.page * 2);
      k.storeReal(place, code.scale.step, f16);
      if (cache.valueOffsets())
        k.storeReal(place.at(cache.valueSize / group * cache.page * 2),
                    code.offset, f16);
    });
  }
}

// Keys ------------------------------------------------------------------------

/// `run`: the head's codes in the page, with its scales behind.
void Body::closeGroup(Int head, Global run, Int start) {
  const quant::Element &element = quant::elementOf(cache.key.element);
  Type f16 = k.builder().getF16Type();
  auto [most, least] = rangesOf(head, start);
  Head steps, offsets, inverses;
  for (size_t i = 0; i < most.size(); ++i) {
    if (i % size_t(width) == 0)
      steps.emplace_back(), offsets.emplace_back(), inverses.emplace_back();
    ChannelCodes codes = channelCodesOf(most[i], least[i], cache.key);
    steps.back().push_back(codes.scale.step);
    inverses.back().push_back(codes.scale.inverse);
    offsets.back().push_back(codes.offset);
  }
  Int inPage = start % cache.page;
  Global scales = run.at(cache.keyCodeBytes())
                      .at(inPage / cache.keyGroup(), cache.groupScaleBytes());
  for (int64_t chunk = 0; chunk < chunks(cache.keySize); ++chunk)
    where(chunk, cache.keyRow(), [&] {
      Global place = scales.at(channel(chunk), 2);
      storeRun(k, place, steps[size_t(chunk)], f16);
      if (cache.keyOffsets())
        storeRun(k, place.at(cache.keyRow() * 2), offsets[size_t(chunk)], f16);
    });
  forGroup(head, start, {}, [&](const Head &key, Int at, Kernel::Values) {
    Global codes =
        run.at(inPage + (at - start), cache.keyRow() * element.bits / 8);
    for (size_t chunk = 0; chunk < key.size(); ++chunk) {
      Run quotients;
      for (size_t i = 0; i < size_t(width); ++i) {
        Real value = key[chunk][i];
        if (cache.keyOffsets())
          value = value - offsets[chunk][i];
        quotients.push_back(value * inverses[chunk][i]);
      }
      storeGroupCodes(codes, int64_t(chunk), cache.keyRow(), quotients,
                      cache.key);
    }
    return Kernel::Values();
  });
}

void Body::appendKeys(Int head, Global run) {
  int64_t group = cache.keyGroup();
  Int own = position - position % group, begun = context - context % group;
  Flag isFirst = token == firstToken;
  Flag fillsOwn = position % group == group - 1 && !(own < context);
  Flag fillsBegun = isFirst && begun < context && !(length < begun + group);
  k.when(fillsOwn || fillsBegun,
         [&] { closeGroup(head, run, select(fillsOwn, own, begun)); });
  if (cache.recent)
    return;
  k.when(isFirst, [&] {
    Int first = max(context, length - length % group);
    k.loop(first, length, k.constant(1), {}, [&](Int at, Kernel::Values) {
      Head key = newRow(Kind::Key, head, at);
      Global row = openKey(head, at);
      for (int64_t chunk = 0; chunk < chunks(cache.keySize); ++chunk)
        where(chunk, cache.keyRow(), [&] {
          storeRun(k, row.at(channel(chunk), 2), key[size_t(chunk)],
                   activation);
        });
      return Kernel::Values();
    });
  });
}

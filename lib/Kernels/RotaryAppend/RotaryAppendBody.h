// What a warp does with one head of one token: find the token's place, rotate,
// store. The kernels that append share it: rotary_append itself, and linear
// layers that append what they have computed.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_KERNELS_ROTARYAPPEND_ROTARYAPPENDBODY_H
#define QOPT_LIB_KERNELS_ROTARYAPPEND_ROTARYAPPENDBODY_H

#include "lib/Kernels/Builder/Angles.h"
#include "lib/Kernels/RotaryAppend/RotaryAppend.h"
#include "lib/Quant/Element.h"

namespace qopt::kernels::rotary_append {

/// Indices of a kernel's arguments; −1 where a problem has none.
struct Places {
  int query, key, value, queries, cos = -1, sin = -1, frequencies = -1,
                                  tokenStarts, contextStarts, pageTable, pages,
                                  sequences;

  /// Appends the arguments of a problem whose heads are in tensors of their
  /// own, or all in that of argument `merged`.
  Places(const Problem &problem, std::vector<Argument> &arguments,
         int merged = -1);
};

class Body {
public:
  /// `width`: channels of a lane.
  Body(Kernel &k, const Problem &problem, int width, const Places &places)
      : k(k), problem(problem), cache(problem.cache), width(width),
        places(places), activation(typeOf(k, problem.activation)),
        f32(k.builder().getF32Type()) {}

  /// Finds the sequence of a token. Reads nothing that a predecessor writes.
  void setToken(Int index);
  /// Whether that is a token of a sequence.
  Flag isPresent();
  /// Finds its place in the cache, or one for a token of no sequence; reads
  /// nothing that a predecessor writes.
  void locate();
  /// Rotates and stores what warps share: queries, keys, values.
  void run(Int job);

private:
  using Head = std::vector<Run>; ///< what a lane has of a head

  Global argument(int index) { return k.pointer(unsigned(index)); }
  Int channel(int64_t chunk) { return k.lane() * width + chunk * 32 * width; }
  int64_t chunks(int64_t size) {
    return (size + 32 * width - 1) / (32 * width);
  }
  /// Runs `body` in the lanes that have channels of a head in `chunk`.
  void where(int64_t chunk, int64_t size, llvm::function_ref<void()> body) {
    if ((chunk + 1) * 32 * width <= size)
      return body();
    k.when(channel(chunk) < k.constant(size), body);
  }
  /// `run`, or what `body` makes of it where `condition` holds.
  Run change(Flag condition, const Run &run, llvm::function_ref<Run()> body);

  Global headOf(int tensor, const Columns &columns, Int head, int64_t size);
  Head load(Global source, int64_t size);
  void rotate(Head &head, Global source);
  Run rotateRun(const Run &run, Global source, Int channel);
  std::vector<Rotation> rotationsOf(Int first, int count);
  void storeQuery(const Head &head, Int index);
  void append(const Head &head, Global run, int64_t size,
              const quant::Format &format);
  void appendCodes(const Head &head, Global codes, Global scale, int64_t size,
                   const quant::Element &element);
  std::vector<Int> codesOf(const Run &quotients, const quant::Element &element,
                           int64_t lowest);
  void storeCodes(Global codes, int64_t chunk, const std::vector<Int> &words,
                  const quant::Element &element);
  CodeScale scaleOf(Real largest, int steps);

  // Keys in groups (RotaryAppendGroups.cpp).
  using KeyBody = llvm::function_ref<Kernel::Values(const Head &key, Int at,
                                                    Kernel::Values values)>;
  void locateGroups(Int sequence);
  Head newKey(Int head, Int at);
  Global openKey(Int head, Int at);
  Kernel::Values forGroup(Int head, Int start, Kernel::Values values,
                          KeyBody body);
  struct ChannelCodes {
    CodeScale scale;
    Real offset;
  };
  std::pair<Run, Run> rangesOf(Int head, Int start);
  ChannelCodes channelCodesOf(Real most, Real least);
  void closeGroup(Int head, Global run, Int start);
  void appendKeys(Int head, Global run);

  Kernel &k;
  const Problem &problem;
  const cuda::KvPageLayout &cache;
  int width;
  Places places;
  mlir::Type activation, f32;
  Int token, sequence;
  Int position; ///< in the sequence
  Int slot;     ///< position in the page
  Global page;
  // Of the sequence, with groups: positions before and after the step, the
  // first of its tokens, and its slot.
  Int context, length, firstToken;
  Global slotBegin;
};

} // namespace qopt::kernels::rotary_append

#endif // QOPT_LIB_KERNELS_ROTARYAPPEND_ROTARYAPPENDBODY_H

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
  int query, key, value, queries,
      queryScale = -1, keyScale = -1, cos = -1, sin = -1, frequencies = -1,
      tokenStarts, contextStarts, pageTable, pages, rows = -1, sequences;

  /// Appends the arguments of a problem whose heads are in tensors of their
  /// own, or all in that of argument `merged`.
  Places(const Problem &problem, std::vector<Argument> &arguments,
         int merged = -1);
};

class Body {
public:
  enum class Kind : uint8_t { Query, Key, Value };
  using Head = std::vector<Run>; ///< what a lane has of a head, then zeros
  /// Reads `width` channels of a head from `channel` on.
  using Reader = llvm::function_ref<Run(Int channel)>;
  /// Where a token belongs: its position in its sequence, negative for a token
  /// of none, and the page of the cache.
  struct Place {
    Int position, page;
  };

  /// `width`: channels of a lane.
  Body(Kernel &k, const Problem &problem, int width, const Places &places)
      : k(k), problem(problem), cache(problem.cache), width(width),
        apart(hasOddHeads(problem)), places(places),
        activation(typeOf(k, problem.activation)),
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

  // What `run` is made of, for kernels that have heads in shared memory and
  // work on several tokens at once.
  /// The place of each lane's own token. Reads nothing that a predecessor
  /// writes.
  Place placeOf(Int token);
  /// In place of setToken and locate; not for keys in groups.
  void setPlace(Int token, Place place);
  Flag isPlaced() { return position >= 0; }
  /// Runs `body` for what a job is: a kind of head, and which one of it.
  void forKind(Int job, llvm::function_ref<void(Kind, Int)> body);
  /// Head `index` of its kind, normalised where it is to be, with what is
  /// rotated of it.
  Head rotated(Kind kind, Int index, Reader reader);
  void store(Kind kind, const Head &head, Int index);

private:
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

  int64_t sizeOf(Kind kind) const {
    return kind == Kind::Value ? cache.valueSize : cache.keySize;
  }
  Int sequenceOf(Int token);
  Place placeIn(Int sequence, Int token);
  Global headOf(int tensor, const Columns &columns, Int head, int64_t size);
  Global sourceOf(Kind kind, Int index);
  /// A head's run of keys in the page.
  Global keysOf(Int head);
  /// Of a head in its row.
  auto readerOf(Global source, int64_t size) {
    return [=, this](Int channel) {
      return loadChannels(source, channel, size, activation);
    };
  }
  /// The lane's channels of a head of `size` at `head` from `channel` on, which
  /// the head has.
  Run loadChannels(Global head, Int channel, int64_t size, mlir::Type type);
  void storeChannels(Global head, Int channel, int64_t size, const Run &run);
  /// `run` with zeros behind the end of a head of `size`.
  Run insideOf(const Run &run, Int channel, int64_t size);
  Head load(Reader reader, int64_t size);
  /// What a norm makes of a head: (x − mean) · factor.
  struct Statistic {
    std::optional<Real> mean; ///< of a layer_norm
    Real factor;
  };
  Real sumOf(const Head &head, llvm::function_ref<Real(Real, Real)> add);
  Statistic statisticOf(const Head &head);
  Run scalesOf(Kind kind, Int index, Int channel);
  Run normalise(const Run &run, const Run &scales, const Statistic &statistic);
  void rotate(Head &head, Reader reader);
  Run rotateRun(const Run &run, Reader reader, Int channel);
  Run rotateChannels(const Run &run, Reader reader, Int channel);
  std::vector<Rotation> rotationsOf(Int first, int count);
  void storeQuery(const Head &head, Int index);
  void append(const Head &head, Global run, int64_t row,
              const quant::Format &format);
  void appendCodes(const Head &head, Global codes, Global scale, int64_t row,
                   const quant::Element &element);
  std::vector<Int> codesOf(const Run &quotients, const quant::Element &element,
                           int64_t lowest);
  void storeCodes(Global codes, int64_t chunk, const std::vector<Int> &words,
                  const quant::Element &element);
  void storeShortCodes(Global codes, int64_t chunk, int64_t row,
                       const Run &quotients, const quant::Element &element,
                       int64_t lowest);
  CodeScale scaleOf(Real largest, int steps);

  // Values in groups, and keys (RotaryAppendGroups.cpp).
  /// Of several numbers with one scale: in codes' steps, and code 0.
  struct ChannelCodes {
    CodeScale scale;
    Real offset;
  };
  ChannelCodes channelCodesOf(Real most, Real least,
                              const quant::Format &format);
  void storeGroupCodes(Global codes, int64_t chunk, int64_t row,
                       const Run &quotients, const quant::Format &format);
  Run largestOfGroups(const Run &ofChunks, int64_t group);
  void appendValueGroups(const Head &head, Global run);
  using KeyBody = llvm::function_ref<Kernel::Values(const Head &key, Int at,
                                                    Kernel::Values values)>;
  void locateGroups(Int sequence);
  Head newRow(Kind kind, Int head, Int at);
  Global openKey(Int head, Int at);
  // Latest positions with 16 bits (RotaryAppendLatest.cpp).
  Global latestRow(Kind kind, Int head, Int at);
  Global stepRow(Kind kind, Int head, Int at);
  int64_t halfBytes(Kind kind) const {
    return kind == Kind::Value ? cache.valueHalfBytes() : cache.keyHalfBytes();
  }
  void storeHalves(Kind kind, const Head &row, Global place);
  void copyLatest(Kind kind, Int head);
  void appendLatest(Kind kind, Int head);
  Kernel::Values forGroup(Int head, Int start, Kernel::Values values,
                          KeyBody body);
  std::pair<Run, Run> rangesOf(Int head, Int start);
  void closeGroup(Int head, Global run, Int start);
  void appendKeys(Int head, Global run);

  Kernel &k;
  const Problem &problem;
  const cuda::KvPageLayout &cache;
  int width;
  bool apart; ///< the channels of a head in its row
  Places places;
  mlir::Type activation, f32;
  Int token, sequence;
  Int position; ///< in the sequence
  Int slot;     ///< position in the page
  Global page;
  // Of the sequence, with slots: positions before and after the step, the
  // first of its tokens, and its slot.
  Int context, length, firstToken;
  Global slotBegin, rowsBegin;
};

} // namespace qopt::kernels::rotary_append

#endif // QOPT_LIB_KERNELS_ROTARYAPPEND_ROTARYAPPENDBODY_H

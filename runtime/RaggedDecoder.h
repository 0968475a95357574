// The ragged step of a decoder artifact: new tokens of several sequences in one
// flat batch go in, logits of the rows that were asked come out, or the tokens
// that follow where the device chooses them, and the KV cache grows. Of an
// encoder-decoder what was made of each sequence's source is kept beside it.
// Knows no requests or text; Scheduler.h does.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_RAGGEDDECODER_H
#define QOPT_RUNTIME_RAGGEDDECODER_H

#include "runtime/Executor.h"
#include "runtime/NamedTensors.h"
#include "runtime/PagePool.h"

#include <memory>
#include <span>
#include <vector>

namespace qopt::runtime {

/// What the cache holds of one sequence. Made by RaggedDecoder::open, ended by
/// close.
struct CachedSequence {
  int64_t length = 0;   ///< positions in the cache
  int64_t reserved = 0; ///< pages promised and not yet taken
  std::vector<int32_t> pages;
  int32_t slot = 0; ///< where the cache keeps something for each sequence; 0:
                    ///< it keeps nothing
  /// Of an encoder-decoder: positions of the source, which is encoded once it
  /// has all of its pages.
  int64_t sourceLength = 0;
  std::vector<int32_t> sourcePages;
};

/// Rows of a slice whose logits are asked.
enum class LogitRows : uint8_t { None, Last, All };

/// New tokens of one sequence; at most one slice of a step belongs to a
/// sequence.
struct TokenSlice {
  CachedSequence *sequence;
  std::span<const int32_t> tokens; ///< at least one
  LogitRows rows;
  TokenChoice choice = {}; ///< after the last row, where tokens are asked
};

/// Sizes that steps will not exceed, for what is taken before the first one.
struct StepLimits {
  int64_t tokens = 1;
  int64_t sequences = 1;
};

class RaggedDecoder {
public:
  /// A cache of at least `cacheTokens` positions (rounded up to pages) on
  /// `device`. OutOfResources, before anything is loaded, where weights, cache
  /// and working memory do not fit it.
  static StatusOr<std::unique_ptr<RaggedDecoder>>
  create(std::shared_ptr<const LoadedModel> model,
         std::shared_ptr<Device> device, int64_t cacheTokens,
         StepLimits limits);

  Device &device() const { return executor.device(); }
  int64_t vocabulary() const { return decoder->vocabulary(); }
  int64_t context() const { return decoder->context(); }
  int64_t page() const { return decoder->page(); }
  /// Most tokens of a step; 0: any number.
  int64_t stepTokens() const { return decoder->step_tokens(); }
  const PagePool &pages() const { return pool; }
  /// Longest source of a sequence; 0: it is no encoder-decoder.
  int64_t longestSource() const { return decoder->source(); }
  /// Positions that sequences' sources have together.
  int64_t sourceTokens() const { return sourcePool.pages() * page(); }
  /// Positions that the encoder makes of a source of such sizes.
  /// InvalidArgument for those that do not go together; Infeasible where they
  /// are too many. From any thread.
  StatusOr<int64_t> sourceLength(const SymbolInputs &sizes) const;
  /// Whether steps can give tokens.
  bool choosesTokens() const {
    return executor.function().outputs()->size() > 1;
  }

  /// Sets aside pages for a sequence of up to `tokens` positions, those of its
  /// source, and a slot where the cache has such; false when there are too few.
  bool open(CachedSequence &sequence, int64_t tokens, int64_t source = 0);
  /// Frees all of it.
  void close(CachedSequence &sequence);

  /// Encodes the source of a sequence that was opened for so many positions.
  Status encode(CachedSequence &sequence, const GivenInputs &source);

  /// One step. The logits [rows, vocabulary] follow the slices' order and are
  /// valid until the next step. Every slice must fit what its sequence
  /// reserved. After an error their lengths are as before, but keys may be lost
  /// that the cache keeps for each sequence until they have codes: close them.
  StatusOr<std::span<const float>> step(std::span<const TokenSlice> slices);
  /// One step that gives, instead of logits, the token after each row; -1 after
  /// one whose logits have no finite number.
  StatusOr<std::span<const int32_t>>
  chooseTokens(std::span<const TokenSlice> slices);

  /// Lets `probe`, which stays, see what the steps of later launches write;
  /// null: nobody does. Of the host only.
  void watch(const StepProbe *seer) { probe = seer; }

  /// Bytes of working memory beyond artifact and cache.
  size_t memory() const;
  /// Bytes of cache that sequences use now.
  size_t cacheMemory() const;

private:
  RaggedDecoder(std::shared_ptr<const LoadedModel> model,
                std::shared_ptr<Device> device, int64_t pages);
  /// Code and constants of the function that encodes sources.
  Status loadEncoder();
  Status placeCache(int64_t sequences);
  Status checkBudget(const WorkingMemory &working, StepLimits limits);
  StatusOr<WorkingMemory> workingMemory(StepLimits limits) const;
  Status allocateCache();
  Status checkSlices(std::span<const TokenSlice> slices) const;
  void describeBatch(std::span<const TokenSlice> slices);
  Status checkSignature(const BoundFunction &bound) const;
  Status growLogits(int64_t rows);
  /// Runs the batch of `describeBatch`.
  Status runStep(std::span<const TokenSlice> slices,
                 std::span<void *const> outputs);

  const plan::Decoder *decoder;
  const StepProbe *probe = nullptr;
  Executor executor;
  std::unique_ptr<Executor> encoder; ///< of an encoder-decoder
  PagePool pool, sourcePool;
  std::unique_ptr<DeviceMemory> cache;
  size_t cacheBytes = 0;
  std::vector<size_t> layerOffsets;
  std::vector<void *> layers; ///< first byte of each layer's pages
  int64_t pageBytes = 0;      ///< of all layers
  int64_t sourcePageBytes = 0;
  bool hasSlots = false; ///< whether a layer keeps something beside pages
  std::vector<int32_t> freeSlots; ///< the next one on top

  // The batch of the step, and what comes back, in host memory.
  std::vector<int32_t> tokens, tokenStarts, contextStarts, pageTable, slots,
      positions, logitRows, nextTokens, sourceLengths, sourceTable;
  std::vector<TokenChoice> choices;
  int64_t pageTableStride = 0, sourceTableStride = 0;
  std::unique_ptr<DeviceMemory> logits;
};

} // namespace qopt::runtime

#endif // QOPT_RUNTIME_RAGGEDDECODER_H

// How keys or values of a layer of a decoder's cache are stored, as options say
// it: a format, and words behind it, with commas between.
//
//   int8
//   int3_asym_g32_zf,recent=32            the 32 latest positions in f16, too
//   int4_asym_g32_zf,recent=32,first=16   and the 16 first
//   int4_g32,before_rotary                keys ahead of their rotation
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_QUANT_CACHEFORMAT_H
#define QOPT_LIB_QUANT_CACHEFORMAT_H

#include "lib/Quant/Format.h"
#include <optional>
#include <vector>

namespace qopt::quant {

struct CacheFormat {
  Format format;
  /// Latest and first positions that are kept in f16, where it is said.
  std::optional<int64_t> recent = std::nullopt, first = std::nullopt;
  bool beforeRotary = false; ///< of keys: ahead of their rotation
};

/// Takes `recent=N`, `first=N` or `before_rotary`; false of anything else, a
/// word that was there before, and a negative number.
bool readCacheWord(std::string_view word, CacheFormat &format);

/// Where the words of a text begin, with the comma ahead of them; its end where
/// it has none. "cache.0.key=int8,recent=32" has them at 16.
size_t cacheWordsOf(std::string_view text);

/// Fails with InvalidArgument and a message that quotes what is wrong.
StatusOr<CacheFormat> parseCacheFormat(std::string_view text);

/// The one spelling: parseCacheFormat(spell(f)) is f.
std::string spell(const CacheFormat &format);

/// A list in which words that stand by themselves belong to the entry ahead, as
/// they do where a list was split at its commas.
std::vector<std::string> joinCacheWords(const std::vector<std::string> &list);

} // namespace qopt::quant

#endif // QOPT_LIB_QUANT_CACHEFORMAT_H

// Formats for single weights or caches by name, as a user writes them:
//
//   model.layers.0.mlp.down_proj.weight=int8     the weight of this name
//   re:.*down_proj=int8                          every weight whose name has a
//                                                match of this pattern in it
//   cache.3.key=int8,recent=32                   of a cache: with words
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_PASSES_QUANTIZE_FORMATOVERRIDES_H
#define QOPT_PASSES_QUANTIZE_FORMATOVERRIDES_H

#include "lib/Quant/CacheFormat.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Regex.h"
#include <optional>
#include <string>
#include <vector>

namespace qopt::passes {

/// An ordered list of overrides that remembers which of them were of use.
class FormatOverrides {
public:
  /// Reads the list, the values of `option`. Fails with InvalidArgument on an
  /// entry without `=`, an invalid pattern or an unknown format.
  static StatusOr<FormatOverrides> parse(llvm::StringRef option,
                                         llvm::ArrayRef<std::string> entries);

  /// The same of a cache, whose formats have words (lib/Quant/CacheFormat.h);
  /// one that is an element by itself belongs to the entry ahead.
  static StatusOr<FormatOverrides>
  parseOfCache(llvm::StringRef option, llvm::ArrayRef<std::string> entries);

  /// The format of the first entry that matches, or nothing.
  std::optional<quant::Format> lookup(llvm::StringRef name);
  std::optional<quant::CacheFormat> lookupOfCache(llvm::StringRef name);

  /// The entries that no name matched so far.
  llvm::SmallVector<llvm::StringRef> unmatched() const;
  /// The entries that names matched, but always an earlier entry too.
  llvm::SmallVector<llvm::StringRef> hidden() const;

private:
  struct Entry {
    std::string text, name;             // as written; what is before `=`
    std::optional<llvm::Regex> pattern; // where `name` begins with re:
    quant::CacheFormat format;
    bool matched = false; // by a name
    bool won = false;     // before all others
  };
  static StatusOr<FormatOverrides>
  parse(llvm::StringRef option, llvm::ArrayRef<std::string> entries,
        llvm::function_ref<size_t(llvm::StringRef)> wordsOf);
  static StatusOr<Entry> parseEntry(const std::string &text, size_t words);

  std::vector<Entry> entries;
};

} // namespace qopt::passes

#endif // QOPT_PASSES_QUANTIZE_FORMATOVERRIDES_H

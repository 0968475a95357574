// "key=value" words as a problem or a schedule is written on the command line.
// A key that nobody asked for is an error that lists those that are known.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TOOLS_QOPTKERNEL_WORDS_H
#define QOPT_TOOLS_QOPTKERNEL_WORDS_H

#include "lib/Quant/Format.h"
#include "qopt/Status.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/JSON.h"

#include <map>
#include <string>
#include <vector>

namespace qopt::kernel_tool {

class Words {
public:
  static StatusOr<Words> parse(const std::vector<std::string> &words);

  /// The value of a key, or `other`. What cannot be read is remembered as the
  /// error of `finish`.
  int64_t number(llvm::StringRef key, int64_t other);
  /// Numbers with a colon between.
  std::vector<int64_t> numbers(llvm::StringRef key,
                               const std::vector<int64_t> &other);
  /// The same, each 1 or more.
  std::vector<int64_t> counts(llvm::StringRef key, int64_t other);
  /// A number that is 1 or more.
  int64_t count(llvm::StringRef key, int64_t other);
  double real(llvm::StringRef key, double other);
  bool flag(llvm::StringRef key, bool other);
  std::string text(llvm::StringRef key, llvm::StringRef other);
  quant::Format format(llvm::StringRef key, llvm::StringRef other);
  /// Formats with a colon between.
  std::vector<quant::Format> formats(llvm::StringRef key,
                                     llvm::StringRef other);
  /// f16, bf16 or f32.
  quant::ElementType element(llvm::StringRef key, llvm::StringRef other);
  /// The enumerator that has the value's place among `names`; else the first.
  template <typename Enum>
  Enum choice(llvm::StringRef key, llvm::ArrayRef<llvm::StringRef> names) {
    return Enum(place(key, names));
  }

  /// Remembers what is wrong with a value that was read.
  void refuse(llvm::StringRef key, llvm::StringRef why);

  /// The first thing that was wrong, an unknown key included.
  Status finish() const;
  /// All keys that were asked for, with the values that they have.
  llvm::json::Object values() const;
  /// "tokens=1 rows=4096 …": keys in the order in which they were asked for.
  std::string known() const;

private:
  const std::string *find(llvm::StringRef key, std::string other);
  size_t place(llvm::StringRef key, llvm::ArrayRef<llvm::StringRef> names);
  quant::Format parsed(llvm::StringRef key, llvm::StringRef name);
  void wrong(llvm::StringRef key, llvm::StringRef expected,
             llvm::StringRef got);

  std::map<std::string, std::string> given;
  std::vector<std::pair<std::string, llvm::json::Value>> asked;
  Status error;
};

} // namespace qopt::kernel_tool

#endif // QOPT_TOOLS_QOPTKERNEL_WORDS_H

// "key=value" words as a problem or a schedule is written on the command line.
// A key that nobody asked for is an error that lists those that are known.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TOOLS_QOPTKERNEL_WORDS_H
#define QOPT_TOOLS_QOPTKERNEL_WORDS_H

#include "lib/Quant/Format.h"
#include "qopt/Status.h"
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
  double real(llvm::StringRef key, double other);
  bool flag(llvm::StringRef key, bool other);
  std::string text(llvm::StringRef key, llvm::StringRef other);
  quant::Format format(llvm::StringRef key, llvm::StringRef other);
  /// f16, bf16 or f32.
  quant::ElementType element(llvm::StringRef key, llvm::StringRef other);

  /// The first thing that was wrong, an unknown key included.
  Status finish() const;
  /// All keys that were asked for, with the values that they have.
  llvm::json::Object values() const;
  /// "tokens=1 rows=4096 …": keys in the order in which they were asked for.
  std::string known() const;

private:
  const std::string *find(llvm::StringRef key, std::string other);
  void wrong(llvm::StringRef key, llvm::StringRef expected,
             llvm::StringRef got);

  std::map<std::string, std::string> given;
  std::vector<std::pair<std::string, llvm::json::Value>> asked;
  Status error;
};

} // namespace qopt::kernel_tool

#endif // QOPT_TOOLS_QOPTKERNEL_WORDS_H

// How long a text may become on its way through normalizers and pre-tokenizers.
// A file may replace what it has replaced before: forty steps that double are a
// few kilobytes of JSON and a terabyte of text. Compatibility forms make up to
// 11 bytes of one, byte alphabets 2, visible spaces 3; more than 64 of each
// byte is no tokenizer.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_TOKENIZER_GROWTHLIMIT_H
#define QOPT_RUNTIME_TOKENIZER_GROWTHLIMIT_H

#include "qopt/Status.h"

#include <cstddef>
#include <string>

namespace qopt::runtime {

class GrowthLimit {
public:
  /// Of a text that comes with `bytes`.
  explicit GrowthLimit(std::size_t bytes) : given(bytes) {}

  std::size_t most() const { return 65536 + 64 * given; }

  /// BadModel where `step`, spelt as in messages, makes more than that.
  Status check(std::size_t bytes, const std::string &step) const {
    if (bytes <= most())
      return {};
    return Status(StatusCode::BadModel,
                  "tokenizer: " + step + " makes more than " +
                      std::to_string(most()) + " bytes of a text of " +
                      std::to_string(given) +
                      "; a text may become 64 times as long and 65536 bytes "
                      "longer");
  }

private:
  std::size_t given;
};

} // namespace qopt::runtime

#endif // QOPT_RUNTIME_TOKENIZER_GROWTHLIMIT_H

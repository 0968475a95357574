// The options of Metaspace, which is both a pre-tokenizer (spaces become a
// visible symbol, ▁) and a decoder.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_TOKENIZER_METASPACE_H
#define QOPT_RUNTIME_TOKENIZER_METASPACE_H

#include "runtime/Tokenizer/TokenizerFile.h"

namespace qopt::runtime {

struct Metaspace {
  /// Before which pieces the symbol is put where it is not there already.
  enum class Prepend { Always, First, Never };

  std::string symbol = "\xE2\x96\x81";
  Prepend prepend = Prepend::Always;
  bool split = true;
};

StatusOr<Metaspace> readMetaspace(const Part &part);

} // namespace qopt::runtime

#endif // QOPT_RUNTIME_TOKENIZER_METASPACE_H

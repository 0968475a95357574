// What tokenizers' files say of tokens by their names and of chats, and what
// generation's files say of sampling.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_CHATCOMPANIONS_H
#define QOPT_LIB_DRIVER_CHATCOMPANIONS_H

#include "lib/Driver/Companions.h"
#include "llvm/Support/JSON.h"

namespace qopt::driver {

/// The keys of a generation_config.json, or of "search" in a
/// genai_config.json. What is drawn needs `do_sample`, as there; a temperature
/// that is not given is 1 then. BadModel names `path` and the key.
Status readSampling(const std::string &path, const llvm::json::Object &config,
                    Companions &result);

/// `chat_template` of a tokenizer_config.json: a text, or the one called
/// "default" of a list.
Status readChatTemplate(const std::string &path,
                        const llvm::json::Object &config, Companions &result);

/// `bos_token` and `eos_token` of a tokenizer_config.json or
/// special_tokens_map.json, texts or objects with their `content`, as ids of
/// the tokenizer, where no file has said them as ids.
Status readNamedTokens(const std::string &path,
                       const llvm::json::Object &config, Companions &result);

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_CHATCOMPANIONS_H

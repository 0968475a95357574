// An entry is one file:  digest of the rest (32 bytes) · for each part its
// length (8 bytes, little endian) and its bytes. LLVM's pruning of such folders
// wants names that begin with "llvmcache-".
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Codegen/CodeCache.h"

#include "lib/Codegen/TemporaryFolder.h"
#include "runtime/Sha256.h"
#include "llvm/Support/CachePruning.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/Process.h"

using namespace qopt;
using namespace qopt::codegen;

static constexpr size_t lengthBytes = 8;

static std::string digestOf(llvm::StringRef bytes) {
  runtime::Digest digest = runtime::Sha256::of(bytes.data(), bytes.size());
  return std::string(digest.begin(), digest.end());
}

static std::string lengthOf(size_t length) {
  std::string bytes(lengthBytes, '\0');
  llvm::support::endian::write64le(bytes.data(), length);
  return bytes;
}

CodeCache CodeCache::ofUser() {
  if (auto named = llvm::sys::Process::GetEnv("QOPT_CODE_CACHE");
      named && !named->empty())
    return CodeCache(*named == "off" ? "" : *named);
  return CodeCache(userCache("code"));
}

std::string CodeCache::pathOf(llvm::StringRef key) const {
  return folder + "/llvmcache-" + key.str();
}

std::optional<std::vector<std::string>> CodeCache::load(llvm::StringRef key,
                                                        size_t parts) const {
  if (folder.empty())
    return std::nullopt;
  StatusOr<std::string> bytes = readFile(pathOf(key));
  if (!bytes)
    return std::nullopt;
  size_t digestBytes = sizeof(runtime::Digest);
  llvm::StringRef content = llvm::StringRef(*bytes).substr(digestBytes);
  if (digestOf(content) != llvm::StringRef(*bytes).take_front(digestBytes))
    return std::nullopt;
  std::vector<std::string> entry;
  while (content.size() >= lengthBytes) {
    uint64_t length = llvm::support::endian::read64le(content.data());
    content = content.drop_front(lengthBytes);
    if (length > content.size())
      return std::nullopt;
    entry.push_back(content.take_front(length).str());
    content = content.drop_front(length);
  }
  if (!content.empty() || entry.size() != parts)
    return std::nullopt;
  return entry;
}

/// Looks at the folder every 20 minutes at most.
static void prune(llvm::StringRef folder) {
  llvm::CachePruningPolicy policy;
  policy.Expiration = std::chrono::days(30);
  policy.MaxSizeBytes = uint64_t(2) << 30;
  llvm::pruneCache(folder, policy);
}

void CodeCache::store(llvm::StringRef key,
                      llvm::ArrayRef<llvm::StringRef> parts) const {
  if (folder.empty() || llvm::sys::fs::create_directories(folder))
    return;
  // Written beside and renamed: another process sees all of it or nothing.
  llvm::SmallString<128> temporary;
  if (llvm::sys::fs::createUniqueFile(folder + "/llvmcache-new-%%%%%%%%",
                                      temporary))
    return;
  std::string content;
  for (llvm::StringRef part : parts)
    content += lengthOf(part.size()) + part.str();
  Status written =
      writeFile(std::string(temporary), digestOf(content) + content);
  if (!written.ok() || llvm::sys::fs::rename(temporary, pathOf(key)))
    (void)llvm::sys::fs::remove(temporary);
  prune(folder);
}

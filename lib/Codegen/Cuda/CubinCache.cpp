// An entry is one file:  digest of the rest (32 bytes) · length of the report
// (8 bytes, little endian) · report · cubin.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Codegen/Cuda/CubinCache.h"

#include "lib/Codegen/TemporaryFolder.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/SHA256.h"

using namespace qopt;
using namespace qopt::codegen;

static constexpr size_t digestBytes = 32, lengthBytes = 8;

static std::string digestOf(llvm::StringRef bytes) {
  auto digest = llvm::SHA256::hash(llvm::arrayRefFromStringRef(bytes));
  return std::string(digest.begin(), digest.end());
}

static std::string lengthOf(size_t length) {
  std::string bytes(lengthBytes, '\0');
  llvm::support::endian::write64le(bytes.data(), length);
  return bytes;
}

CubinCache CubinCache::inHome() { return CubinCache(userCache("cubin")); }

std::string CubinCache::key(llvm::ArrayRef<llvm::StringRef> parts) {
  std::string text;
  for (llvm::StringRef part : parts)
    text += lengthOf(part.size()) + part.str();
  return llvm::toHex(digestOf(text), /*LowerCase=*/true);
}

std::string CubinCache::pathOf(llvm::StringRef key) const {
  return folder + "/" + key.take_front(2).str() + "/" + key.str();
}

std::optional<CubinEntry> CubinCache::load(llvm::StringRef key) const {
  if (folder.empty())
    return std::nullopt;
  StatusOr<std::string> bytes = readFile(pathOf(key));
  if (!bytes || bytes->size() < digestBytes + lengthBytes)
    return std::nullopt;
  llvm::StringRef content = llvm::StringRef(*bytes).drop_front(digestBytes);
  if (digestOf(content) != llvm::StringRef(*bytes).take_front(digestBytes))
    return std::nullopt;
  uint64_t length = llvm::support::endian::read64le(content.data());
  content = content.drop_front(lengthBytes);
  if (length > content.size())
    return std::nullopt;
  return CubinEntry{content.take_front(length).str(),
                    content.drop_front(length).str()};
}

void CubinCache::store(llvm::StringRef key, const CubinEntry &entry) const {
  if (folder.empty())
    return;
  std::string path = pathOf(key);
  llvm::StringRef parent = llvm::sys::path::parent_path(path);
  if (llvm::sys::fs::create_directories(parent))
    return;
  // Written beside and renamed: another process sees all of it or nothing.
  llvm::SmallString<128> temporary;
  if (llvm::sys::fs::createUniqueFile(parent + "/new-%%%%%%%%", temporary))
    return;
  std::string content =
      lengthOf(entry.report.size()) + entry.report + entry.cubin;
  Status written =
      writeFile(std::string(temporary), digestOf(content) + content);
  if (!written.ok() || llvm::sys::fs::rename(temporary, path))
    (void)llvm::sys::fs::remove(temporary);
}

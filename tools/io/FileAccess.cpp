// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tools/io/FileAccess.h"
#include "runtime/InputFile.h"

#include <cerrno>
#include <sys/mman.h>
#include <unistd.h>

namespace qopt::io {

StatusOr<std::shared_ptr<const MappedFile>>
MappedFile::open(const std::string &path) {
  StatusOr<runtime::InputFile> file = runtime::InputFile::open(path);
  if (!file.ok())
    return file.status();
  StatusOr<std::span<const uint8_t>> mapped = file->map();
  if (!mapped.ok())
    return mapped.status();
  return std::shared_ptr<const MappedFile>(new MappedFile(*mapped));
}

MappedFile::~MappedFile() {
  if (!mapping.empty())
    ::munmap(const_cast<uint8_t *>(mapping.data()), mapping.size());
}

StatusOr<std::string> readText(const std::string &path) {
  StatusOr<runtime::InputFile> file = runtime::InputFile::open(path);
  return file.ok() ? file->text() : file.status();
}

StatusOr<std::unique_ptr<FileWriter>>
FileWriter::create(const std::string &path) {
  StatusOr<runtime::OutputFile> file = runtime::OutputFile::create(path);
  if (!file.ok())
    return file.status();
  return std::unique_ptr<FileWriter>(new FileWriter(std::move(*file)));
}

Status FileWriter::append(std::span<const uint8_t> bytes) {
  while (!bytes.empty()) {
    ssize_t written = ::write(file.descriptor(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR)
      continue;
    if (written < 0)
      return file.failure("write");
    bytes = bytes.subspan(size_t(written));
  }
  return {};
}

Status FileWriter::append(std::string_view text) {
  return append({reinterpret_cast<const uint8_t *>(text.data()), text.size()});
}

Status FileWriter::finish() { return file.publish(); }

} // namespace qopt::io

// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/CalibrationStore.h"
#include "runtime/OutputFile.h"
#include "runtime/Sha256.h"
#include <cctype>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <unistd.h>

namespace qopt::driver {

namespace fs = std::filesystem;

/// Readable as far as a file may be called so, and unlike all others.
std::string CalibrationStore::pathOf(const std::string &name) const {
  constexpr size_t readable = 80, digits = 12;
  std::string file;
  for (unsigned char c : name.substr(0, readable))
    file += std::isalnum(c) || c == '.' || c == '_' || c == '-' ? char(c) : '_';
  std::string digest =
      runtime::spell(runtime::Sha256::of(name.data(), name.size()));
  return folder + "/" + file + "." + digest.substr(0, digits);
}

bool CalibrationStore::has(const std::string &name) const {
  std::error_code error;
  return fs::exists(pathOf(name), error);
}

Status CalibrationStore::put(const std::string &name,
                             const std::string &bytes) const {
  auto file = runtime::OutputFile::create(pathOf(name));
  if (!file.ok())
    return file.status();
  for (size_t done = 0; done < bytes.size();) {
    ssize_t count =
        ::write(file->descriptor(), bytes.data() + done, bytes.size() - done);
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0)
      return file->failure("write");
    done += size_t(count);
  }
  return file->publish();
}

StatusOr<std::string> CalibrationStore::get(const std::string &name) const {
  std::ifstream file(pathOf(name), std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(file), {}};
  if (!file.is_open() || file.bad())
    return Status(StatusCode::Unwritable, "cannot read '" + pathOf(name) +
                                              "', an entry of a " +
                                              "calibration; remove its folder");
  return bytes;
}

Status CalibrationStore::put(const std::string &name,
                             const std::vector<float> &values) const {
  return put(name, std::string(reinterpret_cast<const char *>(values.data()),
                               values.size() * sizeof(float)));
}

StatusOr<std::vector<float>>
CalibrationStore::getFloats(const std::string &name) const {
  auto bytes = get(name);
  if (!bytes.ok())
    return bytes.status();
  std::vector<float> values(bytes->size() / sizeof(float));
  std::memcpy(values.data(), bytes->data(), values.size() * sizeof(float));
  return values;
}

StatusOr<calibrate::TokenStates>
CalibrationStore::newStates(const std::string &name) const {
  return calibrate::TokenStates::create(pathOf(name));
}

StatusOr<calibrate::TokenStates>
CalibrationStore::openStates(const std::string &name) const {
  return calibrate::TokenStates::open(pathOf(name));
}

void CalibrationStore::erase(const std::string &name) const {
  std::error_code error;
  fs::remove(pathOf(name), error);
}

void CalibrationStore::eraseAll(const std::string &prefix) const {
  std::error_code error;
  for (const auto &entry : fs::directory_iterator(folder, error))
    if (entry.path().filename().string().starts_with(prefix))
      fs::remove(entry.path(), error);
}

} // namespace qopt::driver

// An artifact mapped into memory: opened, checked, and then only read. Checks
// are in this order, so that nothing is looked at before it is known to be what
// the writer wrote: header, plan digest, FlatBuffers verification, the plan's
// own rules (plan/PlanVerifier.h), segment ranges, segment digests, padding.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_ARTIFACTFILE_H
#define QOPT_RUNTIME_ARTIFACTFILE_H

#include "qopt/Status.h"
#include "runtime/plan/Plan_generated.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace qopt::runtime {

/// How much to check when an artifact is opened. Structure is always checked;
/// `Trust` leaves out the digests of the segments, for a file that was checked
/// before and cannot have changed since.
enum class Integrity { Check, Trust };

class ArtifactFile {
public:
  static StatusOr<std::shared_ptr<const ArtifactFile>>
  open(const std::string &path, Integrity integrity = Integrity::Check);
  ~ArtifactFile();
  ArtifactFile(const ArtifactFile &) = delete;
  ArtifactFile &operator=(const ArtifactFile &) = delete;

  const std::string &path() const { return filePath; }
  size_t size() const { return mapping.size(); }
  const plan::Plan &plan() const { return *planRoot; }
  /// The bytes of segment `index`, which must exist.
  std::span<const uint8_t> segment(uint32_t index) const;
  /// `tokenizer.json`, empty when the artifact has none.
  std::span<const uint8_t> tokenizer() const;

private:
  ArtifactFile(std::string path, std::span<const uint8_t> mapping)
      : filePath(std::move(path)), mapping(mapping) {}
  Status check(Integrity integrity);
  Status checkHeader();
  Status checkSegments() const;
  Status checkDigests() const;
  Status damaged(const std::string &what) const;

  std::string filePath;
  std::span<const uint8_t> mapping;
  std::span<const uint8_t> planBytes;
  const plan::Plan *planRoot = nullptr;
};

} // namespace qopt::runtime

#endif // QOPT_RUNTIME_ARTIFACTFILE_H

// Writes an artifact front to back: segments one at a time, in pieces of any
// size, hashed as they pass; then the plan. The bytes go to a file beside the
// target that is renamed over it at the end, so a failure leaves nothing behind
// and an existing artifact intact.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_ARTIFACTWRITER_H
#define QOPT_RUNTIME_ARTIFACTWRITER_H

#include "qopt/Status.h"
#include "runtime/OutputFile.h"
#include "runtime/Sha256.h"
#include "runtime/plan/Plan_generated.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace qopt::runtime {

/// One artifact being written. After a failed call only destruction is allowed;
/// without a successful `finish` the destructor removes the temporary file.
class ArtifactWriter {
public:
  static StatusOr<std::unique_ptr<ArtifactWriter>>
  create(const std::string &path);
  ArtifactWriter(const ArtifactWriter &) = delete;
  ArtifactWriter &operator=(const ArtifactWriter &) = delete;

  /// Starts a segment and returns its index in the plan's segment table. The
  /// one before must have ended.
  StatusOr<uint32_t> beginSegment(plan::SegmentKind kind,
                                  const std::string &name);
  /// Bytes written so far to the open segment: where the next `append` will
  /// lie.
  uint64_t segmentSize() const;
  Status append(std::span<const uint8_t> bytes);
  /// `size` zeros that take no room on a disk, unhashed: the place of bytes
  /// that are not known, in a file that only says how large it would be.
  Status appendHole(uint64_t size);
  /// Zeros up to the next multiple of `alignment` within the segment.
  Status alignTo(uint64_t alignment);
  Status endSegment();
  /// The same, but where an earlier segment of that kind has the same bytes
  /// this one is gone and the index is that one's.
  StatusOr<uint32_t> endSharedSegment();

  /// The three calls above for bytes that are at hand.
  StatusOr<uint32_t> addSegment(plan::SegmentKind kind, const std::string &name,
                                std::span<const uint8_t> bytes);

  /// Writes what there is so far as a whole artifact and lets `read` open it;
  /// afterwards more can be added, and `plan` changed.
  Status preview(plan::PlanT &plan,
                 const std::function<Status(const std::string &path)> &read);

  /// Fills `plan.segments`, writes plan and header, flushes and renames. `plan`
  /// is consumed. A plan that no runtime would take is an Internal error.
  Status finish(plan::PlanT &plan);

private:
  explicit ArtifactWriter(OutputFile file);
  Status write(const void *bytes, size_t size);
  Status flush();
  Status writePlan(plan::PlanT &plan);
  Status padToAlignment();
  /// Forgets what lies behind the first `bytes` of the file.
  Status cutTo(uint64_t bytes);

  OutputFile file;
  uint64_t position = 0; ///< of the next byte, buffered ones included
  std::vector<uint8_t> pending;
  std::vector<std::unique_ptr<plan::SegmentT>> segments;
  Sha256 hash;
  bool open = false;
  bool hasHole = false; ///< the open segment
};

} // namespace qopt::runtime

#endif // QOPT_RUNTIME_ARTIFACTWRITER_H

// Cutting a piece at delimiters, in the five ways.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/Tokenizer/PreTokenizer.h"

#include <algorithm>

namespace qopt::runtime {

namespace {
struct Segment {
  std::size_t begin, end;
  bool delimits;
};
} // namespace

static std::vector<Segment>
cover(std::size_t size, const std::vector<Match> &matches, bool inverted) {
  std::vector<Segment> segments;
  segments.reserve(matches.size() * 2 + 1);
  std::size_t at = 0;
  for (Match match : matches) {
    if (at != match.begin)
      segments.push_back({at, match.begin, inverted});
    segments.push_back({match.begin, match.end, !inverted});
    at = match.end;
  }
  if (at != size)
    segments.push_back({at, size, inverted});
  return segments;
}

/// Joins segments into their left neighbour where `joins(left, right)`; `left`
/// is the original neighbour.
template <typename Joins>
static void joinLeft(std::vector<Segment> &segments, Joins joins) {
  std::vector<Segment> joined;
  for (std::size_t i = 0; i < segments.size(); ++i) {
    if (i > 0 && joins(segments[i - 1], segments[i]))
      joined.back().end = segments[i].end;
    else
      joined.push_back(segments[i]);
  }
  segments = std::move(joined);
}

void Splitting::split(const Piece &piece, const std::vector<Match> &matches,
                      std::vector<Piece> &out) const {
  std::vector<Segment> segments =
      cover(piece.end - piece.begin, matches, inverted);
  switch (delimiter) {
  case Delimiter::Removed:
    std::erase_if(segments, [](const Segment &s) { return s.delimits; });
    break;
  case Delimiter::Isolated:
    break;
  case Delimiter::Contiguous:
    joinLeft(segments, [](const Segment &left, const Segment &right) {
      return left.delimits == right.delimits;
    });
    break;
  case Delimiter::MergedWithPrevious:
    joinLeft(segments, [](const Segment &left, const Segment &right) {
      return !left.delimits && right.delimits;
    });
    break;
  case Delimiter::MergedWithNext:
    joinLeft(segments, [](const Segment &left, const Segment &right) {
      return left.delimits && !right.delimits;
    });
    break;
  }
  for (const Segment &segment : segments)
    if (segment.begin < segment.end)
      out.push_back({piece.begin + segment.begin, piece.begin + segment.end,
                     piece.start - std::min(piece.start, segment.begin)});
}

} // namespace qopt::runtime

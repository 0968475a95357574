// Figures as a person reads them in reports: three digits that count, and the
// unit that keeps them short. For files, numbers stay as they are.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_TARGET_MAGNITUDE_H
#define QOPT_LIB_TARGET_MAGNITUDE_H

#include <string>
#include <string_view>

namespace qopt::target {

/// "0", "0.0312", "3.12", "31.2", "312", "3125": no digit before the point is
/// dropped.
std::string spellNumber(double value);

/// "772 B", "13.0 MB", "5.20 GB"; of "flop" "403 Mflop".
std::string spellQuantity(double value, std::string_view unit);

/// "0.18 us", "15.3 us", "1.82 ms".
std::string spellTime(double seconds);

} // namespace qopt::target

#endif // QOPT_LIB_TARGET_MAGNITUDE_H

// Marks what the shared library exports; everything else in it is hidden.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_EXPORT_H
#define QOPT_EXPORT_H

#define QOPT_API __attribute__((visibility("default")))

#endif // QOPT_EXPORT_H

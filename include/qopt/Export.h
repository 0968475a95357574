// Marks what the shared library exports; everything else in it is hidden.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_EXPORT_H
#define QOPT_EXPORT_H

#define QOPT_API __attribute__((visibility("default")))
/// A private part of a class that is exported.
#define QOPT_LOCAL __attribute__((visibility("hidden")))

#endif // QOPT_EXPORT_H

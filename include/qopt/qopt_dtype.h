/* The element types of tensors in the C interface, included by qopt.h. The
 * numbers are those of qopt::DType (qopt/Tensor.h) and never change.
 * SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 */
#ifndef QOPT_QOPT_DTYPE_H
#define QOPT_QOPT_DTYPE_H

/* C has no namespaces: NOLINTBEGIN(readability-identifier-naming) */

typedef enum qopt_dtype {
  QOPT_F32 = 0,
  QOPT_F16 = 1,
  QOPT_BF16 = 2,
  QOPT_F64 = 3,
  QOPT_I8 = 4,
  QOPT_I16 = 5,
  QOPT_I32 = 6,
  QOPT_I64 = 7,
  QOPT_U8 = 8,
  QOPT_U16 = 9,
  QOPT_U32 = 10,
  QOPT_U64 = 11,
  QOPT_BOOL = 12,
  /* One byte an element; of 4 and 2 bits the low ones, integers extended. */
  QOPT_F8E4M3FN = 13,
  QOPT_F8E4M3FNUZ = 14,
  QOPT_F8E5M2 = 15,
  QOPT_F8E5M2FNUZ = 16,
  QOPT_F8E8M0 = 17,
  QOPT_F4E2M1 = 18,
  QOPT_I4 = 19,
  QOPT_U4 = 20,
  QOPT_I2 = 21,
  QOPT_U2 = 22
} qopt_dtype;

/* NOLINTEND(readability-identifier-naming) */

#endif /* QOPT_QOPT_DTYPE_H */

/* What the compiler would generate for z[i] = x[i] OPERATOR y[i] over [rows, columns]; built into a shared object and put into a
 * test's artifact. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include <stdint.h>

#if defined(__x86_64__)
__attribute__((visibility("default"))) const char qopt_target[] = "x86-64-v2";
#else
__attribute__((visibility("default"))) const char qopt_target[] = "aarch64";
#endif

__attribute__((visibility("default"))) void
kernel(void *const *buffers, const int64_t *sizes, int64_t begin, int64_t end) {
  const float *x = buffers[0], *y = buffers[1];
  float *z = buffers[2];
  int64_t columns = sizes[0];
  for (int64_t i = begin * columns; i < end * columns; ++i)
    z[i] = x[i] OPERATOR y[i];
}

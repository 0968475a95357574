// Plain f64 matrices, written without regard to speed, that the algorithms of
// lib/Quant/algorithms are compared with, and data to compare them on.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TEST_LIB_QUANT_ALGORITHMS_REFERENCE_H
#define QOPT_TEST_LIB_QUANT_ALGORITHMS_REFERENCE_H

#include "lib/Quant/algorithms/Metric.h"
#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <vector>

namespace qopt::quant::reference {

/// A dense matrix of f64, row after row.
struct Matrix {
  int64_t rows, columns;
  std::vector<double> values;

  Matrix(int64_t rows, int64_t columns)
      : rows(rows), columns(columns), values(size_t(rows * columns)) {}
  Matrix(int64_t rows, int64_t columns, const float *from)
      : rows(rows), columns(columns), values(from, from + rows * columns) {}
  double &operator()(int64_t i, int64_t j) {
    return values[size_t(i * columns + j)];
  }
  double operator()(int64_t i, int64_t j) const {
    return values[size_t(i * columns + j)];
  }
};

inline Matrix identity(int64_t size) {
  Matrix result(size, size);
  for (int64_t i = 0; i < size; ++i)
    result(i, i) = 1;
  return result;
}

inline Matrix transpose(const Matrix &a) {
  Matrix result(a.columns, a.rows);
  for (int64_t i = 0; i < a.rows; ++i)
    for (int64_t j = 0; j < a.columns; ++j)
      result(j, i) = a(i, j);
  return result;
}

inline Matrix operator*(const Matrix &a, const Matrix &b) {
  Matrix result(a.rows, b.columns);
  for (int64_t i = 0; i < a.rows; ++i)
    for (int64_t k = 0; k < a.columns; ++k)
      for (int64_t j = 0; j < b.columns; ++j)
        result(i, j) += a(i, k) * b(k, j);
  return result;
}

inline double trace(const Matrix &a) {
  double sum = 0;
  for (int64_t i = 0; i < a.rows; ++i)
    sum += a(i, i);
  return sum;
}

/// tr(H_O X H_I Xᵀ), as it is written.
inline double error(const Matrix &output, const Matrix &x,
                    const Matrix &input) {
  return trace(output * x * input * transpose(x));
}

/// Rows and columns of a symmetric matrix in another order, and a part of the
/// diagonal's mean on it.
inline Matrix arranged(const Matrix &a, const std::vector<int64_t> &order,
                       double damping) {
  Matrix result(a.rows, a.rows);
  for (int64_t i = 0; i < a.rows; ++i)
    for (int64_t j = 0; j < a.rows; ++j)
      result(i, j) = a(order[size_t(i)], order[size_t(j)]) +
                     (i == j ? damping * trace(a) / double(a.rows) : 0);
  return result;
}

/// C with a = C Cᵀ, lower.
inline Matrix cholesky(const Matrix &a) {
  Matrix c(a.rows, a.rows);
  for (int64_t i = 0; i < a.rows; ++i)
    for (int64_t j = 0; j <= i; ++j) {
      double sum = a(i, j);
      for (int64_t k = 0; k < j; ++k)
        sum -= c(i, k) * c(j, k);
      c(i, j) = i == j ? std::sqrt(sum) : sum / c(j, j);
    }
  return c;
}

/// The inverse by Gauss and Jordan, of a positive definite matrix.
inline Matrix inverse(Matrix a) {
  Matrix result = identity(a.rows);
  for (int64_t k = 0; k < a.rows; ++k) {
    double pivot = a(k, k);
    for (int64_t j = 0; j < a.rows; ++j) {
      a(k, j) /= pivot;
      result(k, j) /= pivot;
    }
    for (int64_t i = 0; i < a.rows; ++i) {
      double factor = i == k ? 0 : a(i, k);
      for (int64_t j = 0; j < a.rows && factor != 0; ++j) {
        a(i, j) -= factor * a(k, j);
        result(i, j) -= factor * result(k, j);
      }
    }
  }
  return result;
}

inline std::vector<int64_t> inOrder(int64_t size) {
  std::vector<int64_t> order(static_cast<size_t>(size));
  std::iota(order.begin(), order.end(), 0);
  return order;
}

/// Positions by ascending diagonal.
inline std::vector<int64_t> ascending(const Matrix &a) {
  std::vector<int64_t> order = inOrder(a.rows);
  std::sort(order.begin(), order.end(), [&](int64_t i, int64_t j) {
    return std::pair(a(i, i), i) < std::pair(a(j, j), j);
  });
  return order;
}

/// Weights of a normal distribution, with one in fifty ten times as large.
inline std::vector<float> randomWeights(int64_t count, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values;
  for (int64_t i = 0; i < count; ++i)
    values.push_back(normal(generator) * (generator() % 50 ? 0.05f : 0.5f));
  return values;
}

/// E[x xᵀ] of `samples` vectors whose elements depend on each other and are of
/// very different sizes; singular where samples < size.
inline std::vector<float> randomMoment(int64_t size, int64_t samples,
                                       unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<double> normal;
  std::vector<double> spread;
  for (int64_t j = 0; j < size; ++j)
    spread.push_back(std::exp(normal(generator)));
  std::vector<double> sum(size_t(size * size));
  for (int64_t s = 0; s < samples; ++s) {
    std::vector<double> x;
    double shared = normal(generator);
    for (int64_t j = 0; j < size; ++j)
      x.push_back(spread[size_t(j)] * (normal(generator) + shared));
    for (int64_t i = 0; i < size; ++i)
      for (int64_t j = 0; j < size; ++j)
        sum[size_t(i * size + j)] +=
            x[size_t(i)] * x[size_t(j)] / double(samples);
  }
  return {sum.begin(), sum.end()};
}

/// What a quantized matrix stands for.
inline std::vector<float> valuesOf(const QuantizedMatrix &matrix) {
  std::vector<float> values(matrix.numbers.size());
  dequantize(matrix, values.data());
  return values;
}

} // namespace qopt::quant::reference

#endif // QOPT_TEST_LIB_QUANT_ALGORITHMS_REFERENCE_H

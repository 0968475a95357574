// RUN: qopt-opt %s -verify-diagnostics
// Each constraint of qopt.check_indices is checked and has a message.

// (C1)
func.func @limits(%x: tensor<?x4xi64>, %n: index) -> tensor<?x4xi64> {
  // expected-error @+1 {{has 2 limits for indices ?x4; expected one, or one for each place of their last axis}}
  %i = qopt.check_indices %x limits(%n, %n) : tensor<?x4xi64>
  return %i : tensor<?x4xi64>
}

// RUN: qopt-opt %s -canonicalize | FileCheck %s
// A requirement stays until its sizes prove it.

// CHECK-LABEL: func @open
// CHECK: qopt.require broadcast
func.func @open(%n: index, %m: index) {
  qopt.require broadcast %n, %m
  return
}

// CHECK-LABEL: func @reflexive
// CHECK-NEXT: return
func.func @reflexive(%n: index) {
  qopt.require equal %n, %n
  qopt.require multiple_of %n, %n
  return
}

// CHECK-LABEL: func @numbers
// CHECK-NOT: qopt.require {{(broadcast|at_most|multiple_of)}}
// CHECK: qopt.require equal
// CHECK-NEXT: return
func.func @numbers() {
  %one = arith.constant 1 : index
  %three = arith.constant 3 : index
  %six = arith.constant 6 : index
  qopt.require broadcast %one, %six
  qopt.require at_most %three, %six
  qopt.require multiple_of %six, %three
  qopt.require equal %three, %six
  return
}

// Nothing broadcasts to nothing: 1 and 0 do not.
// CHECK-LABEL: func @empty
// CHECK: qopt.require broadcast
// CHECK-NOT: qopt.require
func.func @empty() {
  %zero = arith.constant 0 : index
  %one = arith.constant 1 : index
  qopt.require broadcast %one, %zero
  qopt.require broadcast %zero, %zero
  return
}

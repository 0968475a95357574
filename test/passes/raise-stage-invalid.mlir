// RUN: not qopt-opt %s -qopt-raise-stage=as=bogus 2>&1 | FileCheck %s
// A kind of model that does not exist is an error, not the default.

// CHECK: for the --as option: Cannot find option named 'bogus'!

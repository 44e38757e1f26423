// Test data made by tools/make_quant_fixtures.py, read back as raw arrays.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace kvasir::tensor {

/// The contents of `folder`/`name` (tests/fixtures/quant) as values of T; a test failure and an empty vector if it is
/// missing.
template <typename T>
std::vector<T> ReadFixture(const std::string& folder, const std::string& name) {
  std::ifstream file(folder + "/" + name, std::ios::binary);
  EXPECT_TRUE(file.good()) << name << " is missing: run tools/make_quant_fixtures.py";
  const std::vector<char> bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  std::vector<T> values(bytes.size() / sizeof(T));
  if (!values.empty()) std::memcpy(values.data(), bytes.data(), values.size() * sizeof(T));
  return values;
}

}  // namespace kvasir::tensor
